//! What features remember about an account or a session, one value per type.
//!
//! A feature keeps its state under a type of its own, so no two meet and the
//! engine needs to know none of them.

use std::any::{Any, TypeId};

/// A few values, at most one of each type. A list beats a map at this size.
#[derive(Default)]
pub struct Slots(Vec<(TypeId, Box<dyn Any + Send + Sync>)>);

impl Slots {
    /// The value of this type, if there is one.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let (_, value) = self.0.iter().find(|(id, _)| *id == TypeId::of::<T>())?;
        value.downcast_ref()
    }

    /// The value of this type, to change it.
    pub fn get_mut<T: Send + Sync + 'static>(&mut self) -> Option<&mut T> {
        let (_, value) = self.0.iter_mut().find(|(id, _)| *id == TypeId::of::<T>())?;
        value.downcast_mut()
    }

    /// Puts a value in place of the earlier one of its type.
    pub fn set<T: Send + Sync + 'static>(&mut self, value: T) {
        match self.get_mut::<T>() {
            Some(slot) => *slot = value,
            None => self.0.push((TypeId::of::<T>(), Box::new(value))),
        }
    }

    /// Takes the value of this type out.
    pub fn take<T: Send + Sync + 'static>(&mut self) -> Option<T> {
        let place = self.0.iter().position(|(id, _)| *id == TypeId::of::<T>())?;
        let (_, value) = self.0.swap_remove(place);
        value.downcast().ok().map(|value| *value)
    }
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Slots")
            .field("len", &self.0.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_one_slot_of_its_own() {
        let mut slots = Slots::default();
        slots.set(1_u8);
        slots.set("word");
        slots.set(2_u8);
        assert_eq!(slots.get::<u8>(), Some(&2));
        assert_eq!(slots.take::<&str>(), Some("word"));
        assert_eq!(slots.get::<&str>(), None);
    }
}
