// Answers every request with what it was made from.
package main

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/google/uuid"
)

// What the dependency computes, and which version of it that is.
func dependency() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "github.com/google/uuid" {
			return uuid.NewSHA1(uuid.NameSpaceDNS, []byte("Ada")).String() + " " + module.Version
		}
	}
	return "nothing"
}

func main() {
	commit, err := os.ReadFile("COMMIT")
	if err != nil {
		panic(err)
	}
	words := []string{"one", strings.TrimSpace(string(commit)), dependency(), strings.TrimPrefix(runtime.Version(), "go")}
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(answer, strings.Join(words, " "))
	})
	panic(http.ListenAndServe(os.Getenv("BIND_ADDRESS")+":"+os.Getenv("PORT"), nil))
}
