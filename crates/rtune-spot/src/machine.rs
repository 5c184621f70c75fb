//! The maker of this machine, read from files.

use std::path::Path;

/// Returns whether the machine is an EC2 instance, by what the firmware says of its maker. No
/// connection is opened. `sys` is the folder of the system's devices, `/sys` on Linux; where there
/// is no such folder, the answer is no.
pub fn is_amazon(sys: &Path) -> bool {
    let starts_with = |file: &str, prefix: &str| {
        let text = std::fs::read_to_string(sys.join(file)).unwrap_or_default();
        text.to_lowercase().starts_with(prefix)
    };
    // Instances of the Nitro system, bare metal, and the older ones of Xen.
    starts_with("class/dmi/id/sys_vendor", "amazon ec2")
        || starts_with("class/dmi/id/bios_vendor", "amazon ec2")
        || starts_with("hypervisor/uuid", "ec2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_firmware_names_the_maker() {
        for (file, text, expected) in [
            ("class/dmi/id/sys_vendor", "Amazon EC2\n", true),
            ("class/dmi/id/bios_vendor", "Amazon EC2\n", true),
            ("hypervisor/uuid", "ec2e1916-9099-7caf-fd21\n", true),
            ("hypervisor/uuid", "e1916ec2-9099-7caf-fd21\n", false),
            ("class/dmi/id/sys_vendor", "Google\n", false),
            ("class/dmi/id/product_name", "Amazon EC2\n", false),
        ] {
            let sys = tempfile::tempdir().unwrap();
            let path = sys.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            assert_eq!(is_amazon(sys.path()), expected, "{file}: {text}");
        }
        assert!(!is_amazon(Path::new("/no/such/folder")));
    }
}
