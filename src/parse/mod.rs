//! Text of lists → entries and a report of every bad line.
