// Answers every request with what it was made from.
package main

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"

	"example.org/greeting"
)

func main() {
	commit, err := os.ReadFile("COMMIT")
	if err != nil {
		panic(err)
	}
	words := []string{"one", strings.TrimSpace(string(commit)), greeting.Greet("Ada"), strings.TrimPrefix(runtime.Version(), "go")}
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(answer, strings.Join(words, " "))
	})
	panic(http.ListenAndServe(os.Getenv("BIND_ADDRESS")+":"+os.Getenv("PORT"), nil))
}
