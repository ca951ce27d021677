//! What the macro rejects, and how it says so: the folders of `ui/` are the stages that reject, `accepted` aside, which
//! holds whole programs that once were not, and `plausible`: what users will try, by what it is about. Those of them that are
//! differentiated are in `tests/plausible.rs`.
//!
//! Each message is at the token at fault and says what is wrong, why, and what to write instead; no error of the
//! compiler's follows from it. `TRYBUILD=overwrite cargo test --test ui` writes the expected output anew: read it.

#[test]
fn rejections() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    for stage in [
        "options",
        "signature",
        "compile",
        "lower",
        "emit",
        "derive",
        "tensor",
        "check",
        "custom",
        "cost",
        "checkpoint",
        "warnings",
        "hygiene",
        "plausible",
    ] {
        cases.compile_fail(format!("tests/ui/{stage}/*.rs"));
    }
    cases.pass("tests/ui/accepted/*.rs");
}
