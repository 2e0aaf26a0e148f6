use super::*;

#[test]
fn fields_do_not_overlap_and_fill_the_word() {
    let fields = [COMPLETE, JOIN_WAKER, HANDLE, WATCHED, WEIGHT_MASK, NEW, WAKE_MASK, u64::MAX << REF_SHIFT];
    assert_eq!(fields.iter().fold(0, |all, field| all ^ field), u64::MAX);
    assert_eq!(fields.iter().map(|field| field.count_ones()).sum::<u32>(), 64);
}

#[test]
fn a_wake_during_the_poll_is_owed_one_more_poll() {
    let state = State::new(0);
    let seen = state.begin_poll();
    assert_eq!(state.wake(), Wake::Nothing);
    assert_eq!(state.wake(), Wake::Nothing);
    assert_eq!(state.end_poll(seen), EndPoll::Requeue);
    let seen = state.begin_poll();
    assert_eq!(state.end_poll(seen), EndPoll::Idle);
    assert_eq!(state.wake(), Wake::Submit { has_weight: false });
    assert_eq!(state.wake(), Wake::Nothing);
}

#[test]
fn wakes_saturate_and_an_idle_task_is_still_woken() {
    let state = State::new(0);
    let seen = state.begin_poll();
    for _ in 0..WAKES_ENOUGH + 10 {
        assert_eq!(state.wake(), Wake::Nothing);
    }
    assert!(state.load().wakes() <= WAKES_ENOUGH + 1);
    assert_eq!(state.end_poll(seen), EndPoll::Requeue);
    let seen = state.begin_poll();
    assert_eq!(state.end_poll(seen), EndPoll::Idle);
    assert_eq!(state.wake(), Wake::Submit { has_weight: false });
}

#[test]
fn a_wake_in_a_poll_counts_when_the_count_was_full_before() {
    let state = State::new(0);
    for _ in 0..WAKES_ENOUGH + 10 {
        assert_eq!(state.wake(), Wake::Nothing);
    }
    let seen = state.begin_poll();
    assert_eq!(state.wake(), Wake::Nothing);
    assert_eq!(state.end_poll(seen), EndPoll::Requeue);
    let seen = state.begin_poll();
    assert_eq!(state.end_poll(seen), EndPoll::Idle);
}

#[test]
fn a_task_is_new_until_a_poll_has_ended() {
    for ends in [
        |state: &State, seen| assert_eq!(state.end_poll(seen), EndPoll::Idle),
        |state: &State, seen: Seen| {
            assert!(seen.is_first_poll());
            state.end_first_poll();
        },
    ] {
        let state = State::new(3);
        assert_eq!(state.suspend(), EndPoll::Idle);
        assert!(state.load().is_new(), "no poll has ended");
        assert_eq!(state.wake(), Wake::Submit { has_weight: true });
        ends(&state, state.begin_poll());
        let now = state.load();
        assert_eq!((now.is_new(), now.weight(), now.refs(), now.has_handle()), (false, 3, 2, true));
    }
}

/// A word that holds `flags`, and these numbers of wakes and references.
fn word(flags: u64, wakes: u64, refs: u64) -> State {
    State(AtomicU64::new(flags | (wakes << WAKE_SHIFT) | (refs << REF_SHIFT)))
}

fn fields(state: &State) -> (u64, u64, u64) {
    let now = state.load();
    (now.0 & (COMPLETE | JOIN_WAKER | HANDLE | WATCHED), now.wakes(), now.refs())
}

/// All sets of flags.
fn flags() -> impl Iterator<Item = u64> {
    0..=(COMPLETE | JOIN_WAKER | HANDLE | WATCHED)
}

#[test]
fn a_snapshot_reads_its_own_flags() {
    for flags in flags() {
        let now = word(flags, 3, 2).load();
        let read =
            [now.is_complete(), now.has_join_waker(), now.has_handle(), now.is_watched(), now.has_weight()];
        let set = [COMPLETE, JOIN_WAKER, HANDLE, WATCHED].map(|flag| flags & flag == flag);
        assert_eq!(read, [set[0], set[1], set[2], set[3], false]);
        let names = ["COMPLETE", "JOIN_WAKER", "HANDLE", "WATCHED"];
        let shown = names.into_iter().zip(set).filter(|(_, set)| *set).map(|(name, _)| format!("{name}, "));
        let shown: String = shown.collect();
        assert_eq!(format!("{now:?}"), format!("{{{shown}weight=0, wakes=3, refs=2}}"));
        assert_eq!(format!("{:?}", word(flags, 3, 2)), format!("{now:?}"));
    }
    assert!(State::new(1).load().has_weight() && !State::new(0).load().has_weight());
}

#[test]
fn a_wake_counts_unless_the_task_is_complete() {
    for (weight, has_weight) in [(0, false), (1, true), (MAX_WEIGHT, true)] {
        let state = word(u64::from(weight) << WEIGHT_SHIFT, 0, 1);
        assert_eq!(state.wake(), Wake::Submit { has_weight });
        assert_eq!((state.wake(), fields(&state)), (Wake::Nothing, (0, 2, 1)));
    }
    let state = word(COMPLETE, 0, 1);
    assert_eq!((state.wake(), fields(&state)), (Wake::Nothing, (COMPLETE, 0, 1)));
    for (before, after) in [(WAKES_ENOUGH - 1, WAKES_ENOUGH), (WAKES_ENOUGH, WAKES_ENOUGH)] {
        let state = word(0, before, 1);
        assert_eq!((state.wake(), fields(&state)), (Wake::Nothing, (0, after, 1)));
    }
}

#[test]
fn a_wake_that_gives_its_reference_back_does_both_or_nothing() {
    for (weight, has_weight) in [(0u64, false), (2, true)] {
        let state = word(HANDLE | (weight << WEIGHT_SHIFT), 0, 3);
        assert_eq!(state.wake_and_unref(), Some(Wake::Submit { has_weight }));
        assert_eq!(fields(&state), (HANDLE, 1, 2));
        assert_eq!((state.wake_and_unref(), fields(&state)), (Some(Wake::Nothing), (HANDLE, 2, 1)));
    }
    let state = word(0, WAKES_ENOUGH - 1, 2);
    assert_eq!((state.wake_and_unref(), fields(&state)), (Some(Wake::Nothing), (0, WAKES_ENOUGH, 1)));
    for (flags, wakes) in [(COMPLETE, 0), (COMPLETE, 1), (0, WAKES_ENOUGH), (0, WAKES_ENOUGH + 1)] {
        let state = word(flags, wakes, 2);
        assert_eq!((state.wake_and_unref(), fields(&state)), (None, (flags, wakes, 2)));
    }
}

#[test]
fn quiet_completion_asks_for_a_handle_and_nobody_else() {
    for flags in flags().filter(|flags| flags & COMPLETE == 0) {
        let state = word(flags, 1, 2);
        let is_quiet = state.complete_quietly();
        assert_eq!(is_quiet, flags == HANDLE);
        let after = if is_quiet { (HANDLE | COMPLETE, 1, 1) } else { (flags, 1, 2) };
        assert_eq!(fields(&state), after);
        if !is_quiet {
            let before = state.complete();
            assert_eq!((before.0 & 0xff, fields(&state)), (flags, (flags | COMPLETE, 1, 2)));
        }
    }
}

#[test]
fn the_room_of_the_waker_changes_hands_before_the_end_only() {
    for flags in flags() {
        let is_open = flags & COMPLETE == 0;
        let set = word(flags, 1, 2);
        assert_eq!(set.set_join_waker(), is_open);
        assert_eq!(fields(&set).0, if is_open { flags | JOIN_WAKER } else { flags });
        let taken = word(flags, 1, 2);
        assert_eq!(taken.take_join_waker(), is_open);
        assert_eq!(fields(&taken).0, if is_open { flags & !JOIN_WAKER } else { flags });
    }
}

#[test]
fn a_handle_that_goes_leaves_what_is_not_its_own() {
    for flags in flags() {
        let (is_complete, has_handle) = (flags & COMPLETE != 0, flags & HANDLE != 0);
        let state = word(flags, 1, 2);
        let duty = match (is_complete, has_handle, flags & JOIN_WAKER != 0) {
            (true, true, _) => DropHandle::DropOutput,
            (false, _, true) => DropHandle::DropWaker,
            (true, false, _) | (false, _, false) => DropHandle::Nothing,
        };
        assert_eq!(state.drop_handle(), duty, "{flags:#b}");
        let after = if is_complete { flags } else { flags & !(HANDLE | JOIN_WAKER) };
        assert_eq!(fields(&state), (after, 1, 2));
    }
}

#[test]
fn an_output_that_was_taken_is_nobodys() {
    for flags in flags().filter(|flags| flags & (COMPLETE | HANDLE) == COMPLETE | HANDLE) {
        for refs in [1, 2] {
            let state = word(flags, 1, refs);
            state.output_taken();
            assert_eq!(fields(&state), (flags & !HANDLE, 1, refs));
            assert_eq!(state.drop_handle(), DropHandle::Nothing);
        }
    }
}

#[test]
fn who_asks_to_be_told_too_late_is_told_so() {
    for flags in flags() {
        let state = word(flags, 1, 2);
        assert_eq!(state.watch(), flags & COMPLETE != 0);
        assert_eq!(fields(&state), (flags | WATCHED, 1, 2));
    }
}

#[test]
fn the_last_reference_frees_the_cell() {
    for flags in [0, COMPLETE, COMPLETE | HANDLE, HANDLE] {
        let state = word(flags, 1, 1);
        state.add_ref();
        assert_eq!(fields(&state), (flags, 1, 2));
        assert_eq!((state.drop_ref(), fields(&state)), (Unref::Nothing, (flags, 1, 1)));
        assert_eq!(state.drop_ref(), Unref::Dealloc);
        // The only reference to a complete task is not even counted down.
        assert_eq!(fields(&state).2, u64::from(flags & COMPLETE != 0));
    }
}

#[test]
fn weight_stays_in_its_field() {
    let state = State::new(3);
    for weight in [0, MAX_WEIGHT, 200, 1, 9, 4, 4, 0] {
        state.set_weight(weight);
        let now = state.load();
        assert_eq!(now.weight(), weight.min(MAX_WEIGHT));
        assert_eq!((now.wakes(), now.refs(), now.has_handle()), (1, 2, true));
    }
}

#[test]
fn completion_is_quiet_only_when_nobody_else_waits() {
    let state = State::new(0);
    assert!(state.set_join_waker());
    assert!(!state.complete_quietly());
    assert!(state.take_join_waker());
    assert!(state.complete_quietly());
    assert!(!state.set_join_waker());
    assert_eq!(state.drop_handle(), DropHandle::DropOutput);
    assert_eq!(state.drop_ref(), Unref::Dealloc);
}

#[test]
fn a_detached_task_leaves_its_last_reference_to_the_runtime() {
    let state = State::new(0);
    assert_eq!(state.drop_handle(), DropHandle::Nothing);
    assert_eq!(state.drop_ref(), Unref::Nothing);
    assert!(!state.complete_quietly(), "without a handle the runner drops the output itself");
    assert!(!state.complete().has_handle());
    assert_eq!(state.drop_ref(), Unref::Dealloc);
}

#[test]
fn only_an_idle_task_is_claimed() {
    for flags in flags() {
        let is_complete = flags & COMPLETE != 0;
        for wakes in [0, 1, 2, WAKES_ENOUGH] {
            let state = word(flags, wakes, 2);
            let claim = match (is_complete, wakes) {
                (true, _) => Claim::Complete,
                (false, 0) => Claim::Granted,
                (false, _) => Claim::Busy,
            };
            assert_eq!(state.claim(), claim, "{state:?}");
            let after = if claim == Claim::Granted { 1 } else { wakes };
            assert_eq!(fields(&state), (flags, after, 2));
        }
    }
}

#[test]
fn who_claimed_a_task_tells_its_own_wake_from_others() {
    let state = word(HANDLE, 0, 2);
    assert_eq!(state.claim(), Claim::Granted);
    assert!(!state.is_woken_since_claim());
    for _ in 0..2 {
        assert_eq!(state.wake(), Wake::Nothing);
        assert!(state.is_woken_since_claim());
    }
}
