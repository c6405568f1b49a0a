use super::domain::{Hotel, Stay, Visit, command, events, hotel, refused, seconds};

fn is_alive(hotel: &Hotel) -> bool {
    !hotel.live_aggregates().is_empty()
}

/// The guest must stay this long after the command, neither less nor more.
async fn stays(visit: Visit, expected: u64) {
    let hotel = hotel().await;
    let _ = hotel.dispatch(visit).await;
    seconds(expected - 1).await;
    assert!(is_alive(&hotel), "left before {expected} s");
    seconds(2).await;
    assert!(!is_alive(&hotel), "stays longer than {expected} s");
    hotel.shutdown().await;
}

// T-171: the last event is asked, and neither the command nor an earlier event.
#[tokio::test(start_paused = true)]
async fn t_171_the_last_event_tells() {
    stays(events(&[Stay::Stop, Stay::Forever, Stay::Seconds(10)]), 10).await;
}

#[tokio::test(start_paused = true)]
async fn t_171_a_command_without_events_tells() {
    stays(command(Stay::Seconds(20)), 20).await;
}

#[tokio::test(start_paused = true)]
async fn t_171_an_error_tells() {
    stays(refused(Stay::Seconds(30)), 30).await;
}

// T-172, N-022, DEF-018: the caller has its result, the instance is gone, the next command works.
#[tokio::test(start_paused = true)]
async fn t_172_each_may_say_stop() {
    let hotel = hotel().await;
    for version in 1..=3 {
        let dispatched = hotel.dispatch(events(&[Stay::Stop])).await.unwrap();
        assert_eq!(
            (dispatched.version(), dispatched.state().visits),
            (version, u32::try_from(version).unwrap())
        );
        assert!(!is_alive(&hotel));
    }
    hotel.dispatch(command(Stay::Stop)).await.unwrap();
    assert!(!is_alive(&hotel));
    hotel.dispatch(events(&[Stay::Forever])).await.unwrap();
    assert!(is_alive(&hotel));
    assert!(hotel.dispatch(refused(Stay::Stop)).await.unwrap_err().rejection().is_some());
    assert!(!is_alive(&hotel));
    hotel.shutdown().await;
}

// T-173: reading is not a use.
#[tokio::test(start_paused = true)]
async fn t_173_a_look_at_the_state_prolongs_nothing() {
    let hotel = hotel().await;
    hotel.dispatch(events(&[Stay::Seconds(10)])).await.unwrap();
    seconds(9).await;
    assert_eq!(hotel.aggregate_state::<super::domain::Guest>(1).await.unwrap().version, 1);
    seconds(2).await;
    assert!(!is_alive(&hotel));
    hotel.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn t_174_a_command_begins_the_time_anew() {
    let hotel = hotel().await;
    for _ in 0..3 {
        hotel.dispatch(events(&[Stay::Seconds(10)])).await.unwrap();
        seconds(9).await;
        assert!(is_alive(&hotel));
    }
    seconds(2).await;
    assert!(!is_alive(&hotel));
    hotel.shutdown().await;
}

// The latest answer counts, also when it is the shorter one.
#[tokio::test(start_paused = true)]
async fn a_later_command_may_shorten_the_stay() {
    let hotel = hotel().await;
    hotel.dispatch(events(&[Stay::Forever])).await.unwrap();
    hotel.dispatch(command(Stay::Seconds(10))).await.unwrap();
    seconds(11).await;
    assert!(!is_alive(&hotel));
    hotel.shutdown().await;
}

// N-034, DEF-C1: a refusal never does.
#[tokio::test(start_paused = true)]
async fn n_034_a_refusal_does_not_shorten_the_stay() {
    let hotel = hotel().await;
    hotel.dispatch(events(&[Stay::Seconds(100)])).await.unwrap();
    seconds(50).await;
    hotel.dispatch(refused(Stay::Seconds(10))).await.unwrap_err();
    seconds(49).await;
    assert!(is_alive(&hotel));
    seconds(2).await;
    assert!(!is_alive(&hotel));

    // Near the end it lengthens it.
    hotel.dispatch(events(&[Stay::Seconds(100)])).await.unwrap();
    seconds(95).await;
    hotel.dispatch(refused(Stay::Seconds(10))).await.unwrap_err();
    seconds(9).await;
    assert!(is_alive(&hotel));
    seconds(2).await;
    assert!(!is_alive(&hotel));

    hotel.dispatch(events(&[Stay::Forever])).await.unwrap();
    hotel.dispatch(refused(Stay::Seconds(10))).await.unwrap_err();
    seconds(1_000_000).await;
    assert!(is_alive(&hotel));
    hotel.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn forever_and_a_time_beyond_all_times_are_the_same() {
    for stay in [Stay::Forever, Stay::TooLong] {
        let hotel = hotel().await;
        hotel.dispatch(events(&[stay])).await.unwrap();
        seconds(10 * 365 * 86_400).await;
        assert!(is_alive(&hotel));
        hotel.shutdown().await;
    }
}

// T-178: what a lifespan cannot say in Rust is garbage; what it can do is panic. The command has been committed.
#[tokio::test(start_paused = true)]
async fn t_178_a_lifespan_that_panics_changes_no_outcome() {
    let hotel = hotel().await;
    assert_eq!(hotel.dispatch(events(&[Stay::Panic])).await.unwrap().version(), 1);
    assert_eq!(hotel.dispatch(command(Stay::Panic)).await.unwrap().version(), 1);
    assert!(hotel.dispatch(refused(Stay::Panic)).await.unwrap_err().rejection().is_some());
    assert!(is_alive(&hotel), "the default holds");
    hotel.shutdown().await;
}
