//! Which type does a task's slot have?
//!
//! Every look into a slot compares its type, several times a poll, so the number of the type lies in
//! the task's vtable. Compilers before Rust 1.91 cannot put it there, since `TypeId::of` is not
//! `const`; with them the vtable holds a function that returns it (a yield took a fifth longer).

use std::any::TypeId;

/// The type of a slot, for a vtable.
#[cfg(selvedge_const_type_id)]
pub(super) struct SlotType(TypeId);

#[cfg(selvedge_const_type_id)]
impl SlotType {
    #[expect(clippy::incompatible_msrv, reason = "the cfg is set where it is stable")]
    pub(super) const fn of<S: 'static>() -> Self {
        Self(TypeId::of::<S>())
    }

    #[inline]
    pub(super) fn is<S: 'static>(&self) -> bool {
        self.0 == TypeId::of::<S>()
    }
}

/// As above, for older compilers.
#[cfg(not(selvedge_const_type_id))]
pub(super) struct SlotType(fn() -> TypeId);

#[cfg(not(selvedge_const_type_id))]
impl SlotType {
    pub(super) const fn of<S: 'static>() -> Self {
        Self(TypeId::of::<S>)
    }

    #[inline]
    pub(super) fn is<S: 'static>(&self) -> bool {
        (self.0)() == TypeId::of::<S>()
    }
}
