//! Shapes.

/// A circle.
pub struct Circle {
    radius: f64,
}

impl Circle {
    #[must_use]
    pub fn area(&self) -> f64 {
        self.radius * self.radius * std::f64::consts::PI
    }

    /// Its radius, in meters.
    #[must_use]
    pub fn radius(&self) -> f64 {
        self.radius
    }
}

pub const UNIT: f64 = 1.0;

#[cfg(test)]
mod tests {
    pub fn helper() {}
}
