//! What is read into the binary from folders: cargo does not see that a file was added to one.

fn main() {
    for folder in ["schemas", "migrations"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
