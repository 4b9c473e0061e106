//! What a VM is made of: the image folder (kernel, modules, root), the initramfs around the worker, the scratch disk.

mod folder;
mod initramfs;
mod scratch;

pub use folder::{ImageError, ImageFolder, recipe_key};
pub use initramfs::compose_initramfs;
pub use scratch::{copy_sparse, scratch_template};
