package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestFramesOneBehindTheOther(t *testing.T) {
	sent := []word{
		{Started: &started{PID: 12, Memory: "rlimit"}},
		{Ended: &Exit{Code: -1, Signal: sigKill, Killed: true, UserSec: 0.25, Left: 3}},
		{Failed: &failed{Errno: 2}},
	}
	var pipe bytes.Buffer
	for _, w := range sent {
		if err := writeFrame(&pipe, w); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range sent {
		var got word
		if err := readFrame(&pipe, maxWord, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v (want %+v)", got, err, want)
		}
	}
	if err := readFrame(&pipe, maxWord, &word{}); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestFramesThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "EOF",
		"\x00\x00":                      "unexpected EOF",
		"\x00\x00\x00\x05{}":            "unexpected EOF",
		"\x00\x00\x00\x02{]":            "invalid character",
		"\x00\x00\x00\x00":              "unexpected end",
		"\x00\x01\x00\x01{}":            "65537 bytes",
		"\xff\xff\xff\xff{}":            "4294967295 bytes",
		"\x00\x00\x00\x02[]":            "cannot unmarshal",
		"\x00\x00\x00\x0b{\"Ended\":1}": "cannot unmarshal",
	} {
		if err := readFrame(strings.NewReader(text), maxWord, &word{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v (want %q)", text, err, want)
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x15{\"Started\":{\"PID\":1}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got, again word
		if err := readFrame(bytes.NewReader(b), maxWord, &got); err != nil {
			return
		}
		var pipe bytes.Buffer
		if err := writeFrame(&pipe, got); err != nil {
			t.Fatal(err)
		}
		if err := readFrame(&pipe, maxWord, &again); err != nil || !reflect.DeepEqual(got, again) {
			text, _ := json.Marshal(got)
			t.Errorf("%s comes back as %+v, %v", text, again, err)
		}
	})
}
