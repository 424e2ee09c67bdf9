// Package greeting is a copy of version 1.0.0.
package greeting

// Greet is polite.
func Greet(name string) string { return "hello " + name }
