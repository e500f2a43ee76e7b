//! `resources/v1`: what a machine has. An issuer attests amounts, GPU model, region and skills; the holder claims any part of them.
//!
//! The type is all schema: attributes have the claim's shape, and each rule brings its own constraints. Labels are part of the type's
//! id; a later version may name more of the 64 bits.

use crate::{
    capability::Capability,
    schema::{ClaimField, ClaimSchema, Rule},
};

/// The circuit of `resources/v1`.
pub struct Resources;

impl Capability for Resources {
    fn name(&self) -> &str {
        "resources"
    }
    fn version(&self) -> u16 {
        1
    }
    fn schema(&self) -> ClaimSchema {
        schema()
    }
}

/// `none` is a machine without a GPU; V100M16 and the rest of the first line are the models of a published production cluster.
const GPU_MODELS: &[&str] = &[
    "none", "P100", "T4", "V100M16", "V100M32", "G1", "G2", "G3", "A10", //
    "A100", "A100-80G", "H100", "H200", "B200", "L4", "L40S", "A30", "A40", "A16", "A6000",
    "RTX3090", "RTX4090", "RTX5090", "MI250", "MI300X",
];

const REGIONS: &[&str] = &[
    "us-east",
    "us-central",
    "us-west",
    "canada",
    "brazil",
    "eu-west",
    "eu-central",
    "eu-north",
    "uk",
    "africa",
    "middle-east",
    "india",
    "singapore",
    "japan",
    "korea",
    "australia",
];

const SKILLS: &[&str] = &[
    "cuda",
    "rocm",
    "docker",
    "podman",
    "kubernetes",
    "slurm",
    "mpi",
    "python",
    "pytorch",
    "jax",
    "rust",
    "node",
    "jvm",
    "wasm",
    "ffmpeg",
    "blender",
    "nvlink",
    "infiniband",
    "nvme",
    "fp16",
    "bf16",
    "fp8",
    "fp4",
    "mig",
    "sev-snp",
    "tdx",
    "ipv6",
    "avx512",
];

/// The public fields of `resources/v1`.
pub fn schema() -> ClaimSchema {
    let field = |name: &str, unit: &str, labels: &[&str], rule| ClaimField {
        name: name.into(),
        unit: unit.into(),
        labels: labels.iter().map(|l| (*l).to_owned()).collect(),
        rule,
    };
    let amount = |name, unit, consumable| field(name, unit, &[], Rule::AtLeast { consumable });
    ClaimSchema {
        fields: vec![
            amount("cpu_milli", "mCPU", true),
            amount("memory_mib", "MiB", true),
            amount("gpu_milli", "mGPU", true),
            amount("disk_gib", "GiB", true),
            amount("bandwidth_mbps", "Mbit/s", true),
            amount("gpu_memory_mib", "MiB per GPU", false),
            field("gpu_model", "", GPU_MODELS, Rule::Within),
            field("region", "", REGIONS, Rule::Within),
            field("skills", "", SKILLS, Rule::HasAll),
        ],
    }
}
