"""As it should be: the patterns of the guide, correct and fast, on the standard library alone."""

from perflab.patterns.breaker import BreakerStats, CircuitBreaker
from perflab.patterns.bulkhead import Bulkhead, BulkheadStats
from perflab.patterns.cacheaside import AsideStats, CacheAside
from perflab.patterns.connectionpool import ConnectionPool
from perflab.patterns.interner import InternerStats, StringInterner
from perflab.patterns.objectpool import Buffer, ObjectPool
from perflab.patterns.parts.crew import StageStats
from perflab.patterns.parts.eras import State
from perflab.patterns.parts.guardedtier import TierStats
from perflab.patterns.parts.lease import Lease, PoolStats
from perflab.patterns.pipeline import (
    Pipeline,
    PipelineStats,
    Results,
    filter_by,
    transform,
)
from perflab.patterns.sharding import ModuloRouter, Moved, RingRouter, open_all
from perflab.patterns.tiered import TieredCache
from perflab.patterns.tiers import Entry, MemoryStats, MemoryTier, Tier
from perflab.patterns.workerpool import WorkerPool, WorkerPoolStats

__all__ = [
    "BreakerStats",
    "CircuitBreaker",
    "Bulkhead",
    "BulkheadStats",
    "State",
    "AsideStats",
    "CacheAside",
    "ConnectionPool",
    "InternerStats",
    "StringInterner",
    "Lease",
    "PoolStats",
    "Buffer",
    "ObjectPool",
    "Pipeline",
    "PipelineStats",
    "Results",
    "StageStats",
    "filter_by",
    "transform",
    "ModuloRouter",
    "Moved",
    "RingRouter",
    "open_all",
    "Entry",
    "MemoryStats",
    "MemoryTier",
    "Tier",
    "TierStats",
    "TieredCache",
    "WorkerPool",
    "WorkerPoolStats",
]
