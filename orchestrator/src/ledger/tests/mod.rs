mod deadlines;
mod model;
mod people;
mod support;
mod votes;
