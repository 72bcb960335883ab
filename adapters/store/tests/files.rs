//! The store in files, on tokio and on smol.

#[path = "conformance/mod.rs"]
mod conformance;
#[path = "files/mod.rs"]
mod files;

mod on_tokio {
    crate::conformance!(crate::files::Files::on_tokio());
}

mod on_smol {
    crate::conformance!(crate::files::Files::on_smol());
}
