use crate::process_manager::instance::Instance;
use crate::process_manager::{ProcessError, ProcessManager, Role};

/// The events that an instance handles.
pub(crate) struct Admitted<E> {
    /// Each with its place among those that are for the instance.
    pub(crate) wanted: Vec<(u32, E)>,
    /// Whether one of them is its last.
    pub(crate) ends: bool,
}

/// Tells which events an instance handles, by the role that each plays for it, and begins the instance if one of them
/// does. `position` is that of the events, which one stored event was decoded to.
pub(crate) fn admit<P: ProcessManager>(
    instance: &mut Option<Box<Instance<P>>>,
    events: &[(Role, P::Event)],
    position: u64,
) -> Result<Admitted<P::Event>, ProcessError<P::Error>> {
    let mut admitted = Admitted { wanted: Vec::new(), ends: false };
    for (ordinal, (role, event)) in (0..).zip(events) {
        match (role, &mut *instance) {
            (Role::StartStrict, Some(_)) => return Err(ProcessError::AlreadyStarted),
            (Role::ContinueStrict, None) => return Err(ProcessError::NotStarted),
            (Role::Start, Some(_)) | (Role::Continue | Role::Stop, None) => continue,
            (Role::Start | Role::StartStrict | Role::StartOrContinue, none @ None) => {
                *none = Some(Box::new(Instance::begin(position)));
            }
            (_, Some(_)) => {}
        }
        admitted.ends |= *role == Role::Stop;
        admitted.wanted.push((ordinal, event.clone()));
    }
    Ok(admitted)
}
