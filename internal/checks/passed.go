package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// keptFor is how long a part that passed is taken over.
const keptFor = 30 * 24 * time.Hour

// Passed keeps the keys of parts that passed, each in a file of a folder.
type passed struct{ folder string }

// A pass says when a part passed and how long that took.
type pass struct {
	Step string        `json:"step"`
	Part string        `json:"part,omitempty"`
	At   time.Time     `json:"at"`
	Took time.Duration `json:"took"`
}

// find returns the pass of a key. What cannot be read counts as no pass.
func (p passed) find(key string) (found pass, ok bool) {
	text, err := os.ReadFile(filepath.Join(p.folder, key))
	if err != nil || json.Unmarshal(text, &found) != nil {
		return pass{}, false
	}
	return found, time.Since(found.At) < keptFor
}

// add keeps a pass. A reader sees all of it or nothing.
func (p passed) add(key string, one pass) error {
	text, err := json.Marshal(one)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.folder, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(p.folder, ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), filepath.Join(p.folder, key))
}

// tidy removes passes that are too old to be taken over. What it cannot remove is not found either.
func (p passed) tidy() {
	entries, _ := os.ReadDir(p.folder)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) >= keptFor {
			_ = os.Remove(filepath.Join(p.folder, e.Name()))
		}
	}
}
