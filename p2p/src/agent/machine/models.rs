//! From the name a driver gives a GPU to the label that `resources/v1` has for it.
//!
//! The rule: the name in capitals, cut into words at everything but letters and digits; words that name the maker, the brand or the board
//! ([`NOISE`]) and one that gives the memory (`80GB`) fall away; what is left, joined, must **equal** a spelling of [`MODELS`]. So a
//! variant is never taken for the model it is named after: `A10G`, `RTX 3090 Ti`, a laptop's `RTX 4090` or a MIG slice have no label.
//! Where a model comes in several sizes, the memory in the name decides, or the driver's figure where the name has none.

/// Words that do not tell one model from another.
const NOISE: &[&str] = &[
    "NVIDIA", "AMD", "TESLA", "GEFORCE", "QUADRO", "INSTINCT", "PCIE", "PCI", "SXM", "SXM2",
    "SXM3", "SXM4", "SXM5", "SXM6", "OAM", "HBM2", "HBM2E", "HBM3", "HBM3E", "NVL",
];

/// (spelling, GiB of memory where several sizes have labels of their own, label).
const MODELS: &[(&str, Option<u64>, &str)] = &[
    ("P100", None, "P100"),
    ("T4", None, "T4"),
    ("V100", Some(16), "V100M16"),
    ("V100", Some(32), "V100M32"),
    ("A10", None, "A10"),
    ("A100", Some(40), "A100"),
    ("A100", Some(80), "A100-80G"),
    ("H100", None, "H100"),
    ("H200", None, "H200"),
    ("B200", None, "B200"),
    ("L4", None, "L4"),
    ("L40S", None, "L40S"),
    ("A30", None, "A30"),
    ("A40", None, "A40"),
    ("A16", None, "A16"),
    ("A6000", None, "A6000"),
    ("RTXA6000", None, "A6000"),
    ("RTX3090", None, "RTX3090"),
    ("RTX4090", None, "RTX4090"),
    ("RTX5090", None, "RTX5090"),
    ("MI250", None, "MI250"),
    ("MI300X", None, "MI300X"),
];

/// The label of a GPU, if its name is that of a labelled model.
pub fn label_of(name: &str, memory_mib: Option<u64>) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    let words = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty() && !NOISE.contains(word));
    let (mut spelling, mut named) = (String::new(), None);
    for word in words {
        match gigabytes(word) {
            Some(size) if named.is_none() => named = Some(size),
            _ => spelling.push_str(word),
        }
    }
    // A driver reports a little less than the size on the box: 81,559 MiB of 80 GiB.
    let size = named.or_else(|| memory_mib.map(|mib| mib.div_ceil(1024)));
    let fits = |(known, gib, _): &&(&str, Option<u64>, &str)| {
        *known == spelling && (gib.is_none() || *gib == size)
    };
    MODELS.iter().find(fits).map(|(_, _, label)| *label)
}

/// `80` of `80GB`.
fn gigabytes(word: &str) -> Option<u64> {
    word.strip_suffix("GB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_circuits::types::resources;

    #[test]
    fn every_label_is_one_of_the_type() {
        let schema = resources::schema();
        let known = &schema.field("gpu_model").unwrap().1.labels;
        for (_, _, label) in MODELS {
            assert!(known.iter().any(|it| it == label), "{label}");
        }
    }

    #[test]
    fn names_of_drivers_find_their_labels() {
        for (name, memory, label) in [
            ("NVIDIA A100-SXM4-80GB", Some(81_920), Some("A100-80G")),
            ("NVIDIA A100 80GB PCIe", Some(81_920), Some("A100-80G")),
            ("NVIDIA A100-SXM4-40GB", Some(40_960), Some("A100")),
            ("A100-PCIE-40GB", None, Some("A100")),
            ("NVIDIA A100", Some(81_559), Some("A100-80G")),
            ("Tesla V100-SXM2-16GB", Some(16_160), Some("V100M16")),
            ("Tesla V100-SXM2-32GB", Some(32_510), Some("V100M32")),
            ("Tesla V100-SXM2", Some(16_160), Some("V100M16")),
            ("Tesla P100-PCIE-16GB", Some(16_280), Some("P100")),
            ("Tesla T4", Some(15_109), Some("T4")),
            ("NVIDIA A10", Some(23_028), Some("A10")),
            ("NVIDIA H100 80GB HBM3", Some(81_559), Some("H100")),
            ("NVIDIA H100 NVL", Some(95_830), Some("H100")),
            ("NVIDIA H200", Some(143_771), Some("H200")),
            ("NVIDIA B200", Some(183_359), Some("B200")),
            ("NVIDIA L4", Some(23_034), Some("L4")),
            ("NVIDIA L40S", Some(46_068), Some("L40S")),
            ("NVIDIA RTX A6000", Some(49_140), Some("A6000")),
            ("NVIDIA GeForce RTX 3090", Some(24_576), Some("RTX3090")),
            ("NVIDIA GeForce RTX 4090", Some(24_564), Some("RTX4090")),
            ("AMD Instinct MI300X OAM", Some(196_592), Some("MI300X")),
        ] {
            assert_eq!(label_of(name, memory), label, "{name}");
        }
    }

    #[test]
    fn what_only_resembles_a_labelled_model_has_no_label() {
        for name in [
            "NVIDIA A10G",
            "NVIDIA L40",
            "NVIDIA GeForce RTX 3090 Ti",
            "NVIDIA GeForce RTX 4090 D",
            "NVIDIA GeForce RTX 4090 Laptop GPU",
            "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
            "NVIDIA A100-SXM-64GB",
            "NVIDIA GH200 480GB",
            "NVIDIA RTX 6000 Ada Generation",
            "AMD Instinct MI250X / MI250",
            "Tesla V100-SXM2-24GB",
            "A100",
            "80GB",
            "",
        ] {
            assert_eq!(label_of(name, None), None, "{name}");
        }
        assert_eq!(label_of("NVIDIA A100", Some(65_536)), None);
    }
}
