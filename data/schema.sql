-- The shop. Prices and totals are whole euros; times are UTC, ISO 8601.
-- Only primary keys are indexed: the other indexes are what the book is about.

CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,               -- active, inactive or blocked
    created_at TEXT NOT NULL
);

CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    category TEXT NOT NULL,
    price INTEGER NOT NULL,
    description TEXT NOT NULL,
    sold INTEGER NOT NULL               -- sum of its quantities in order_items
);

CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id),
    total INTEGER NOT NULL,             -- sum of quantity × price of its items
    created_at TEXT NOT NULL,           -- ascending with id
    status TEXT NOT NULL                -- paid, shipped, delivered or cancelled
);

CREATE TABLE order_items (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id),
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity INTEGER NOT NULL,
    price INTEGER NOT NULL              -- of one piece
);
