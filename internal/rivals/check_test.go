package main

import "testing"

func TestSameWork(t *testing.T) {
	for _, e := range entries {
		t.Run(e.String(), func(t *testing.T) {
			if err := check(e); err != nil {
				t.Error(err)
			}
		})
	}
}
