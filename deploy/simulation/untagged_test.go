//go:build !synctests

package simulation

import "testing"

// make test runs the package a second time, with the tag.
func TestNeedsTag(t *testing.T) {
	t.Skip("virtual time needs -tags synctests: make test and make simulate give it")
}
