package cli

import (
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	seed := "SU" + strings.Repeat("AB2C", 14)
	for in, want := range map[string]string{
		"nats://alice:hunter2@h:4222,tls://tok3n@i:1":                             "nats://[removed]@h:4222,tls://[removed]@i:1",
		"a seed " + seed + " in a log":                                            "a seed [removed] in a log",
		"Authorization: eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJ":                       "Authorization: [removed]",
		`level=INFO password=hunter2 user=bob`:                                    `level=INFO password=[removed] user=bob`,
		`{"api_key": "abc123", "n": 1}`:                                           `{"api_key": "[removed]", "n": 1}`,
		`"argv":["replay","--api-token","abc123","--n","1"]`:                      `"argv":["replay","--api-token","[removed]","--n","1"]`,
		`replay.py --db-password hunter2 --fast`:                                  `replay.py --db-password [removed] --fast`,
		`AWS_SECRET_ACCESS_KEY=abc/def+1 x`:                                       `AWS_SECRET_ACCESS_KEY=[removed] x`,
		"-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\nrest": "[removed]\nrest",
		`"text":"{\"token\":\"abc123\"}"`:                                         `"text":"{\"token\":\"[removed]\"}"`,
		`bars_processed=12 run_id=pilot key=value`:                                `bars_processed=12 run_id=pilot key=value`,
		`mail bob@example.org`:                                                    `mail bob@example.org`,
	} {
		if got := string(redact([]byte(in))); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

// What is taken out stays out, and what has none of it stays as it is.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{"://u:p@h", "token=abc", "--secret x", "-----BEGIN PRIVATE KEY-----", `"password":"x"`, "plain"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "hunter2") {
			return
		}
		got := string(redact([]byte("password=hunter2hunter2 " + text)))
		if strings.Contains(got, "hunter2") {
			t.Fatalf("%q", got)
		}
	})
}
