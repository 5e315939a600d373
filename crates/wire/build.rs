//! Compiles `proto/` with protox, so that no `protoc` has to be installed.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    const ROOT: &str = "../../proto";
    println!("cargo::rerun-if-changed={ROOT}");
    let services = [
        "starling/admin/v1/admin.proto",
        "starling/admin/v1/cluster.proto",
        "starling/link/v1/control.proto",
        "starling/link/v1/link.proto",
    ];
    let descriptors = protox::compile(services, [ROOT])?;
    tonic_prost_build::configure()
        .bytes(".starling.link.v1")
        .compile_fds(descriptors)?;
    // The hot path once more, without values between `link` and the bytes.
    let lanes = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("there is no OUT_DIR")?);
    let lanes = lanes.join("lanes");
    std::fs::create_dir_all(&lanes)?;
    let descriptors = protox::compile(["starling/link/v1/link.proto"], [ROOT])?;
    tonic_prost_build::configure()
        .out_dir(lanes)
        .codec_path("crate::link::codec::LaneCodec")
        .extern_path(".starling.link.v1", "crate::link::lane_types")
        .compile_fds(descriptors)?;
    Ok(())
}
