//! The macro as a file, for tests that run the compiler themselves.

use std::path::PathBuf;

/// The compiled macro, which stands beside the compiled test.
pub fn macro_library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let compiled = test
        .parent()
        .unwrap()
        .read_dir()
        .unwrap()
        .filter_map(|f| Some(f.ok()?.path()));
    let name = |p: &PathBuf| {
        p.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let library = |p: &PathBuf| {
        name(p).contains("backprop_macro-")
            && p.extension()
                .is_some_and(|e| e == std::env::consts::DLL_EXTENSION)
    };
    let newest = compiled
        .filter(library)
        .max_by_key(|p| p.metadata().and_then(|m| m.modified()).ok());
    newest.expect("the macro was compiled for this test")
}
