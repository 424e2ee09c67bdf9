// The only command of the module. Answers every request with what it was made from.
package main

import (
	"fmt"
	"net/http"
	"os"

	"example.org/shop/internal/marker"
)

func main() {
	text := marker.Text("one")
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(answer, text)
	})
	panic(http.ListenAndServe(os.Getenv("BIND_ADDRESS")+":"+os.Getenv("PORT"), nil))
}
