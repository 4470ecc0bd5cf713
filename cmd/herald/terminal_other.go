//go:build !linux && !darwin

package main

import "context"

// askTerminal asks nobody: on this system what is typed would be shown.
func askTerminal(context.Context, string) (string, error) { return "", errNoTerminal }

// confirmTerminal asks nobody either.
func confirmTerminal(context.Context, string) (string, error) { return "", errNoTerminal }
