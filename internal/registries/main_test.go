package registries

import (
	"fmt"
	"log"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(jobVariable); text != "" {
		fmt.Fprintln(os.Stderr, work(text, os.Stdin, os.Stdout)) // it returns only if something is wrong
		os.Exit(1)
	}
	dir, err := os.MkdirTemp("", "registries-")
	if err != nil {
		log.Fatal(err)
	}
	buildDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
