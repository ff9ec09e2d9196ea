"""Chapter 5: an answer to each exercise, and wrong ones with what their hint must name."""

from array import array

# ── 1: seventy bytes


class Columns:
    """Three arrays."""

    def __init__(self, rows):
        self.numbers, self.prices, self.quantities = array("q"), array("d"), array("b")
        for number, price, quantity in rows:
            self.numbers.append(number)
            self.prices.append(price)
            self.quantities.append(quantity)

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, at):
        return self.numbers[at], self.prices[at], self.quantities[at]


def tuples(rows):
    return list(rows)


def dicts(rows):
    class AsDicts(list):
        def __getitem__(self, at):
            return tuple(super().__getitem__(at).values())

    return AsDicts({"number": n, "price": p, "quantity": q} for n, p, q in rows)


class Slotted:
    __slots__ = ("number", "price", "quantity")

    def __init__(self, number, price, quantity):
        self.number, self.price, self.quantity = number, price, quantity

    def __iter__(self):
        return iter((self.number, self.price, self.quantity))


class Closed:
    """A record that can be compared, not unpacked."""

    __slots__ = ("fields",)

    def __init__(self, *fields):
        self.fields = fields

    def __eq__(self, other):
        return self.fields == other


def comparable(rows):
    return [Closed(*row) for row in rows]


def slots(rows):
    return [Slotted(*row) for row in rows]


class Rounded(Columns):
    def __init__(self, rows):
        super().__init__(rows)
        self.prices = array("f", self.prices)


def the_iterator(rows):
    return rows


class Later:
    """Reads the records when somebody asks for one."""

    def __init__(self, rows):
        self.rows, self.store = rows, None

    def __len__(self):
        self.store = self.store or Columns(self.rows)
        return len(self.store)

    def __getitem__(self, at):
        return self.store[at]


# ── 2: a parser that lets go


def by_position(data):
    view, at, found = memoryview(data), 0, []
    while at < len(view):
        end = at + 4 + int.from_bytes(view[at : at + 4], "big")
        if view[at + 4 : at + 5] == b"!":
            found.append(bytes(view[at + 4 : end]))
        at = end
    return found


def cut_off_the_front(data):
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        body, data = data[4 : 4 + size], data[4 + size :]
        if body[:1] == b"!":
            found.append(bytes(body))
    return found


def without_empty_ones(data):
    at, found = 0, []
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4] == ord("!"):
            found.append(data[at + 4 : end])
        at = end
    return found


def slices_all(data):
    at, found = 0, []
    while at < len(data):
        size, at = int.from_bytes(data[at : at + 4], "big"), at + 4
        body, at = data[at : at + size], at + size
        found += [body] * (body[:1] == b"!")
    return found


def views(data):
    view, at, found = memoryview(data), 0, []
    while at < len(view):
        end = at + 4 + int.from_bytes(view[at : at + 4], "big")
        if view[at + 4 : at + 5] == b"!":
            found.append(view[at + 4 : end])
        at = end
    return found


def every_body_first(data):
    view, at, bodies = memoryview(data), 0, []
    while at < len(view):
        end = at + 4 + int.from_bytes(view[at : at + 4], "big")
        bodies.append(bytes(view[at + 4 : end]))
        at = end
    return [body for body in bodies if body.startswith(b"!")]


def by_the_mark(data):
    parts = bytes(memoryview(data)[:-1]).split(b"\x00\x00\x00\x05!")[1:]
    return [b"!" + part[:4] for part in parts]


# ── 3: the pool mended


class Kept:
    """A buffer that keeps its array, unless somebody looks at it."""

    def __init__(self):
        self.array, self.length = bytearray(1024), 0

    def write(self, data):
        end = self.length + len(data)
        if end > len(self.array):
            larger = bytearray(2 * end)  # room to grow: four of these may lie idle
            larger[: self.length] = self.array[: self.length]
            self.array = larger
        memoryview(self.array)[self.length : end] = data
        self.length = end

    def bytes(self):
        return memoryview(self.array)[: self.length]

    def empty(self):
        try:
            self.array.append(self.array.pop())
        except BufferError:
            self.array = bytearray(1024)
        self.length = 0


class Pool:
    """At most four idle; what is lent is known by its id."""

    buffer, cap = Kept, 4

    def __init__(self):
        self.free, self.lent = [], {}

    def get(self):
        try:
            buffer = self.free.pop()
        except IndexError:
            buffer = self.buffer()
        self.lent[id(buffer)] = buffer
        return buffer

    def put(self, buffer):
        if self.lent.pop(id(buffer), None) is not buffer:
            raise ValueError("not lent")
        buffer.empty()
        if len(self.free) < self.cap:
            self.free.append(buffer)


class Assigning(Kept):
    """Copies the data once more on its way in."""

    def write(self, data):
        self.array[self.length : self.length + len(data)] = data
        self.length += len(data)


class Clearing(Kept):
    def empty(self):
        self.array, self.length = bytearray(), 0


class Blind(Kept):
    def empty(self):
        self.length = 0


class StillClears(Pool):
    buffer = Clearing


class StillCopies(Pool):
    buffer = Assigning


class StillAliases(Pool):
    buffer = Blind


class WithoutCap(Pool):
    cap = 1_000_000


class TakesAll(Pool):
    def put(self, buffer):
        buffer.empty()
        if len(self.free) < self.cap:
            self.free.append(buffer)


# ── 4: the wrong process


def _off(one, needed):
    return abs(one.reported - needed) > 0.1 * needed


def by_who_worked(reports):
    found = set()
    for letter, one in reports.items():
        workers = [name for name, cpu in one.cpu.items() if cpu[-1] - cpu[0] > 1]
        if _off(one, sum(one.resident[name] for name in workers).max()):
            found.add(letter)
    return found


def all_processes(reports):
    return {k for k, one in reports.items() if _off(one, sum(one.resident.values()).max())}


def the_main_one(reports):
    return {k for k, one in reports.items() if _off(one, one.resident["main"].max())}


def the_largest(reports):
    return {
        k for k, one in reports.items() if _off(one, max(r.max() for r in one.resident.values()))
    }


def sum_of_peaks(reports):
    def peaks(one):
        return sum(one.resident[name].max() for name, cpu in one.cpu.items() if cpu[-1] > 1)

    return {letter for letter, one in reports.items() if _off(one, peaks(one))}


SOLUTIONS = {1: Columns, 2: by_position, 3: Pool, 4: by_who_worked}
WRONG = {
    1: {
        tuples: "numbers are objects too",
        dicts: "numbers are objects too",
        comparable: "numbers are objects too",
        slots: "numbers are objects too",
        Rounded: "too few digits",
        the_iterator: "used up",
        Later: "Too small to be true",
    },
    2: {
        cut_off_the_front: "copies the whole rest",
        without_empty_ones: "IndexError",
        views: "keeps the whole data alive",
        slices_all: "those that are dropped",
        every_body_first: "a second time",
        by_the_mark: "a second time",
    },
    3: {
        StillClears: "keep the array",
        StillCopies: "copies the data once more",
        StillAliases: "Copy what is to",
        WithoutCap: "Cap it",
        TakesAll: "Remember which are lent",
    },
    4: {
        all_processes: "is right",
        the_main_one: "is right",
        the_largest: "is right",
        sum_of_peaks: "got away",
    },
}
