// Package marker is what the command answers.
package marker

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/google/uuid"
)

// Text is the edition, the commit, what the dependency computes in which version, and Go's own.
func Text(edition string) string {
	commit, err := os.ReadFile("COMMIT")
	if err != nil {
		panic(err)
	}
	words := []string{edition, strings.TrimSpace(string(commit)), dependency(), strings.TrimPrefix(runtime.Version(), "go")}
	return strings.Join(words, " ")
}

func dependency() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/google/uuid" {
			return uuid.NewSHA1(uuid.NameSpaceDNS, []byte("Ada")).String() + " " + module.Version
		}
	}
	return "nothing"
}
