// Package reference writes docs/schemas.md: every stream with its topic and
// columns, the wire of samples, the reasons of dead letters, the formulas of the
// cost columns and the views, all from the declarations. What no declaration
// says lies in text/. A test fails when page and declarations drift apart, and
// runs the page's Python on records that package wire made.
package reference

//go:generate go run ./generate
