//! The inventory file: one machine, as an issuer found it.
//!
//! ```json
//! { "serial": "DGX-A100-0417", "type": "resources/v1",
//!   "attributes": { "cpu_milli": 256000, "gpu_model": "A100-80G", "region": "eu-west", "skills": ["cuda", "nvlink"] } }
//! { "serial": "DGX-A100-0417", "type": "score/v1", "attributes": { "suite": "mlperf-inference-5.1", "score": 8720 } }
//! ```

use super::{
    error::{Located as _, Problem},
    names::{Named, Names},
};
use serde::{Deserialize, Serialize};
use tender_circuits::{CapabilityType, Claim, asset_of};
use tender_wire::FieldBytes;

/// A machine and what it has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventoryFile {
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Its serial number: the same machine is the same asset, whoever attests it.
    pub serial: String,
    /// Capability type the attributes belong to.
    #[serde(rename = "type", default = "resources")]
    pub type_name: String,
    /// Values by field name.
    pub attributes: Named,
}

fn resources() -> String {
    "resources/v1".into()
}

impl InventoryFile {
    /// The machine's handle on chain.
    pub fn asset(&self) -> FieldBytes {
        asset_of(&self.serial)
    }

    /// The attributes as the type stores them.
    ///
    /// # Errors
    /// The first [`Problem`], with its field.
    pub fn resolve<'n>(&self, names: &'n Names) -> Result<(&'n CapabilityType, Claim), Problem> {
        if self.serial.trim().is_empty() {
            return Err(Problem::new(
                "serial",
                "is empty",
                "write the machine's serial number",
            ));
        }
        let record = names.type_named(&self.type_name).at("type")?;
        Ok((
            record,
            names
                .attributes(record, &self.attributes)
                .at("attributes")?,
        ))
    }
}
