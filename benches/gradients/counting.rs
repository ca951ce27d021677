//! A global allocator that counts what the current thread asks for.
//!
//! The only `unsafe` of the benchmarks and of `tests/allocations.rs`: `GlobalAlloc` is an unsafe trait, and there is no other way to
//! see an allocation. Every call is handed to `System` as it came. The counts are per thread, so that tests may run side by side.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What was allocated: the number of requests and their bytes (growing a block counts as a new request).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heap {
    pub allocations: usize,
    pub bytes: usize,
}

thread_local! {
    static HEAP: Cell<Heap> = const { Cell::new(Heap { allocations: 0, bytes: 0 }) };
}

/// Runs `f` and says what this thread allocated meanwhile.
pub fn heap_of<T>(f: impl FnOnce() -> T) -> (T, Heap) {
    let before = HEAP.get();
    let result = f();
    let after = HEAP.get();
    let used = Heap {
        allocations: after.allocations - before.allocations,
        bytes: after.bytes - before.bytes,
    };
    (result, used)
}

fn count(bytes: usize) {
    // A thread that is being torn down has no counter any more; what it allocates then is nobody's measurement.
    let _ = HEAP.try_with(|heap| {
        let Heap {
            allocations,
            bytes: total,
        } = heap.get();
        heap.set(Heap {
            allocations: allocations + 1,
            bytes: total + bytes,
        });
    });
}

struct Counting;

// SAFETY: each method forwards its arguments unchanged to `System`, which upholds the contract; counting touches only a `Cell`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above; every block comes from `System`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
