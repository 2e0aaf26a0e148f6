//! Which models are there? One file for each protocol.

mod blocking;
mod canary;
mod cancel;
mod cpu_bound;
mod group;
mod idle;
mod join;
mod one_word;
mod panics;
mod queues;
mod shutdown;
mod sockets;
mod threadsafe;
mod timers;
mod virtual_time;
mod waiting;
mod wake;
mod watchdog;

use crate::support::Model;

/// All models, in the order in which they run.
pub(crate) const MODELS: &[Model] = &[
    canary::CANARY,
    idle::HANDOFF,
    idle::TWO_SLEEPERS,
    idle::LAST_SEARCHER,
    wake::WAKE_WHILE_RUNNING,
    wake::COALESCED_WAKE,
    wake::PROBE_VS_WAKE,
    wake::START_VS_PROBE,
    queues::NEXT_SLOT,
    queues::OWNER_AND_THIEF,
    queues::RETRY_STORM,
    queues::MULTI_STEALER,
    join::COMPLETE_VS_HANDLE_DROP,
    join::JOIN_WAKER_SWAP,
    join::HANDLE_DROP_VS_COMPLETE,
    join::WATCH_COMPLETION_VS_COMPLETE,
    join::WAKER_OUTLIVES_POOL,
    join::JOIN_ACROSS_WORKERS,
    one_word::BOX_IS_MADE_ONCE,
    panics::PANIC_IN_POLL,
    panics::PANIC_IN_DROP,
    shutdown::SPAWN_VS_SHUTDOWN,
    shutdown::HAND_IN_VS_LAST_LOOK,
    shutdown::WAKE_DURING_SHUTDOWN,
    shutdown::COMPLETE_VS_CANCEL,
    shutdown::DESTRUCTOR_WAKES_AND_SPAWNS,
    shutdown::REPRIEVE_VS_SHUTDOWN,
    timers::TIMER_INSERT_VS_PARK,
    timers::TIMER_CANCEL_VS_FIRE,
    timers::STAGED_TIMER_MOVES,
    timers::DRIVER_HANDOVER,
    virtual_time::REST_IS_NOTICED,
    virtual_time::SPARE_LEAVES_LAST,
    virtual_time::WATCH_LOOKS_LAST,
    sockets::UNPARK_VS_POLL,
    sockets::READY_VS_WAIT,
    sockets::CHANGE_VS_WAIT,
    sockets::FORGET_VS_READY,
    virtual_time::HOLD_IS_LET_GO,
    virtual_time::HOLD_IS_SEEN,
    blocking::BLOCKING_SPAWN_AT_CAP,
    blocking::BLOCKING_RETIRE_VS_SUBMIT,
    blocking::BLOCKING_VS_SHUTDOWN,
    watchdog::SPARE_WORKER_HANDOVER,
    watchdog::WATCH_SLEEPS_VS_WORKER_WAKES,
    cpu_bound::PERMIT_RETURNS_VS_PUSH,
    cpu_bound::RETIREMENT_VS_PUSH,
    cpu_bound::DEMOTION_VS_POLL_END,
    cpu_bound::DISMISSED_PLACE_IS_LENT,
    cancel::CANCEL_WHILE_QUEUED,
    cancel::CANCEL_WHILE_POLLING,
    cancel::CANCEL_DELIVERED_ONCE,
    cancel::CANCEL_IN_A_SET,
    cancel::SHUTDOWN_TELLS_ONCE,
    cancel::ROUTE_JOINS_VS_SETTLES,
    cancel::ROUTES_CLOSE_A_CIRCLE,
    threadsafe::THREADSAFE_RESULT_VS_COMPLETE,
    threadsafe::THREADSAFE_CANCEL_VS_COMPLETE,
    threadsafe::THREADSAFE_CANCEL_VS_SUSPEND,
    group::GROUP_CANCEL_VS_CHILD_EXIT,
    group::GROUP_CANCEL_VS_ADMISSION,
    group::GROUP_END_VS_ADMISSION,
    waiting::FUTURE_SET_VS_AWAIT,
    waiting::GATHER_VS_CHILD_EXIT,
    waiting::WAIT_VS_CHILD_EXIT,
    waiting::COMPLETED_VS_CHILD_EXIT,
    waiting::CALL_VS_AWAIT,
    waiting::DEADLINE_MOVES_VS_AWAIT,
    waiting::CALLBACK_VS_COMPLETE,
    waiting::CALLBACK_VS_SET,
];
