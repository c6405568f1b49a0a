use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;

/// Values by type: how layers of middleware pass values to each other and to the caller.
#[derive(Default)]
pub struct Extensions {
    // A dispatch without extensions, the common case, allocates nothing.
    values: Option<HashMap<TypeId, Box<dyn Value>>>,
}

trait Value: Any + Send + Sync {
    fn clone_value(&self) -> Box<dyn Value>;
}

impl<T: Any + Clone + Send + Sync> Value for T {
    fn clone_value(&self) -> Box<dyn Value> {
        Box::new(self.clone())
    }
}

impl Extensions {
    /// Puts a value in; one of the same type that was there before is replaced.
    pub fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) {
        self.values.get_or_insert_default().insert(TypeId::of::<T>(), Box::new(value));
    }

    /// The value of type `T`.
    #[must_use]
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<&T> {
        let value: &dyn Any = &**self.values.as_ref()?.get(&TypeId::of::<T>())?;
        value.downcast_ref()
    }

    /// The value of type `T`, to be changed.
    #[must_use]
    pub fn get_mut<T: Clone + Send + Sync + 'static>(&mut self) -> Option<&mut T> {
        let value: &mut dyn Any = &mut **self.values.as_mut()?.get_mut(&TypeId::of::<T>())?;
        value.downcast_mut()
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.as_ref().map_or(0, HashMap::len)
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Clone for Extensions {
    fn clone(&self) -> Self {
        let clone = |values: &HashMap<TypeId, Box<dyn Value>>| {
            values.iter().map(|(id, value)| (*id, (**value).clone_value())).collect()
        };
        Self { values: self.values.as_ref().map(clone) }
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Extensions({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_013_several_values_coexist_and_the_last_of_a_type_wins() {
        let mut extensions = Extensions::default();
        assert_eq!(extensions.get::<u32>(), None);
        extensions.insert(1_u32);
        extensions.insert("text");
        extensions.insert(2_u32);
        *extensions.get_mut::<u32>().unwrap() += 1;
        let copy = extensions.clone();
        assert_eq!((copy.get::<u32>(), copy.get::<&str>(), copy.len()), (Some(&3), Some(&"text"), 2));
    }
}
