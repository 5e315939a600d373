//! Stands in for `protoc` while the build script of a dependency runs, so that
//! a Rust toolchain is all that building Starling needs.
//!
//! It knows the few options that `prost-build` passes and nothing else; our own
//! build scripts use `protox` as a library.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use protox::Compiler;
use protox::prost::Message as _;

/// What was asked for.
#[derive(Default)]
struct Request {
    includes: Vec<PathBuf>,
    files: Vec<PathBuf>,
    output: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let request = Request::read(std::env::args().skip(1))?;
    let output = request.output.ok_or("-o FILE is missing")?;
    let mut compiler = Compiler::new(request.includes)?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(request.files)?;
    fs::write(output, compiler.file_descriptor_set().encode_to_vec())?;
    Ok(())
}

impl Request {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut request = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
            match argument.as_str() {
                "--include_imports" | "--include_source_info" => {}
                "-I" => request.includes.push(value()?.into()),
                "-o" => request.output = Some(value()?.into()),
                other if other.starts_with('-') => {
                    return Err(format!("{other} is not known to this stand-in for protoc"));
                }
                file => request.files.push(file.into()),
            }
        }
        Ok(request)
    }
}
