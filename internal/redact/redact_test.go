package redact

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	seed := "SU" + strings.Repeat("AB2C", 14)
	for in, want := range map[string]string{
		// URLs
		"nats://alice:hunter2@h:4222,tls://tok3n@i:1":             "nats://[removed]@h:4222,tls://[removed]@i:1",
		"nats://u:p@ss@h:4222":                                    "nats://[removed]@h:4222",
		"nats://u:pa/ss@h:4222":                                   "nats://[removed]@h:4222",
		`parse "nats://u:p w@h": invalid`:                         `parse "nats://u:p w@h": invalid`, // by its blank: URLs removes it where it comes in
		"postgres://u:p@db/x?sslmode=on":                          "postgres://[removed]@db/x?sslmode=on",
		"https://h/x?token=abc&n=1":                               "https://h/x?token=[removed]&n=1",
		"https://h/x?n=1&key=abc":                                 "https://h/x?n=1&key=[removed]",
		"https://b.s3/x?X-Amz-Date=1&X-Amz-Signature=0af1#x":      "https://b.s3/x?X-Amz-Date=1&X-Amz-Signature=[removed]#x",
		"https://h/x?X-Amz-Credential=AKIA/2026&sv=2":             "https://h/x?X-Amz-Credential=[removed]&sv=2",
		"https://a.blob.core.windows.net/c?sv=2020&sig=ab%2Fc%3D": "https://a.blob.core.windows.net/c?sv=2020&sig=[removed]",
		"nats://h:4222, see https://h/a@b":                        "nats://h:4222, see https://h/a@b",
		"http://[::1]:80/a@b":                                     "http://[::1]:80/a@b",
		// forms
		"a seed " + seed + " in a log":                                                 "a seed [removed] in a log",
		"x eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJ y":                                       "x [removed] y",
		"AKIAIOSFODNN7EXAMPLE":                                                         "[removed]",
		"id=AKIAIOSFODNN7EXAMPLE.":                                                     "id=[removed].",
		"AIzaSyA-1234567890abcdefghijklmnopqrstu":                                      "[removed]",
		"ghp_16C7e42F292c6912E7710c838347Ae178B4a":                                     "[removed]",
		"github_pat_11ABCDEFG0abcdefghijkl_mn":                                         "[removed]",
		"glpat-abcdefghij0123456789":                                                   "[removed]",
		"xoxb-123456789012-abcdef":                                                     "[removed]",
		"sk_live_4eC39HqLyjWDarjtT1":                                                   "[removed]",
		"-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\nrest":      "[removed]\nrest",
		"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl":                                    "[removed]",
		`"k":"-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n"`:          `"k":"[removed]\n"`,
		"-----BEGIN USER NKEY SEED-----\n" + seed + "\n------END USER NKEY SEED------": "[removed]-",
		// headers
		"Authorization: Bearer abc.def":                   "Authorization: [removed]",
		"authorization: Basic dTpw and on":                "authorization: [removed]",
		`curl -H "Authorization: Bearer S3" https://h`:    `curl -H "Authorization: [removed]" https://h`,
		`{"Authorization":"Bearer S3","n":1}`:             `{"Authorization":"[removed]","n":1}`,
		"Cookie: a=b; c=d\nHost: h":                       "Cookie: [removed]\nHost: h",
		"X-Api-Key: abc":                                  "X-Api-Key: [removed]",
		"sent with Bearer S3CR3T-marker to h":             "sent with Bearer [removed] to h",
		`msg="got Authorization: Bearer S3" run_id=pilot`: `msg="got Authorization: [removed]" run_id=pilot`,
		// names
		`level=INFO password=hunter2 user=bob`:                  `level=INFO password=[removed] user=bob`,
		`level=INFO password="two words" user=bob`:              `level=INFO password="[removed]" user=bob`,
		`{"api_key": "abc123", "n": 1}`:                         `{"api_key": "[removed]", "n": 1}`,
		`{"apiKey":"abc","clientSecret":"x y"}`:                 `{"apiKey":"[removed]","clientSecret":"[removed]"}`,
		`"argv":["replay","--api-token","abc123","--n","1"]`:    `"argv":["replay","--api-token","[removed]","--n","1"]`,
		"\"--token\",\n      \"abc\",":                          "\"--token\",\n      \"[removed]\",",
		`"--password=a b","x"`:                                  `"--password=[removed] b","x"`,
		`replay.py --db-password hunter2 --fast`:                `replay.py --db-password [removed] --fast`,
		`replay.py --use-token --fast`:                          `replay.py --use-token --fast`,
		`AWS_SECRET_ACCESS_KEY=abc/def+1 x`:                     `AWS_SECRET_ACCESS_KEY=[removed] x`,
		`PGPASSWORD=x MYSQL_PWD='y z' psql`:                     `PGPASSWORD=[removed] MYSQL_PWD='[removed]' psql`,
		`"text":"{\"token\":\"abc123\"}"`:                       `"text":"{\"token\":\"[removed]\"}"`,
		"DefaultEndpointsProtocol=https;AccountKey=abc==;x":     "DefaultEndpointsProtocol=https;AccountKey=[removed];x",
		"db:\n  password: correct horse battery\n  host: h\n":   "db:\n  password: [removed]\n  host: h\n",
		"a:\n  private_key: |\n    abc\n\n    def\n  host: h\n": "a:\n  private_key: [removed]\n  host: h\n",
		"- token: >-\n    abc\n- x: 1\n":                        "- token: [removed]\n- x: 1\n",
		"password: 'hunter 2'\n":                                "password: '[removed]'\n",
		"SSHPASS=hunter2 sshpass -e ssh h":                      "SSHPASS=[removed] sshpass -e ssh h",
		"--dbpass hunter2 --bypass cache":                       "--dbpass [removed] --bypass cache",
		"STRIPE_KEY=abcd1234abcd1234abcd":                       "STRIPE_KEY=[removed]",
		// what stays
		`bars_processed=12 run_id=pilot key=value`:   `bars_processed=12 run_id=pilot key=value`,
		`mail bob@example.org`:                       `mail bob@example.org`,
		"max_tokens=100 tokenizer=bert passes=3":     "max_tokens=100 tokenizer=bert passes=3",
		"--token-file /run/token --nkey worker.nk":   "--token-file /run/token --nkey worker.nk",
		"--creds a.creds --tlskey /a/b/c0123456789d": "--creds a.creds --tlskey /a/b/c0123456789d",
		`"token": null, "secret": ""`:                `"token": null, "secret": ""`,
		"--token {param.token} --password=$PW":       "--token {param.token} --password=$PW",
		"seed=42 SHA-256 aaaa0123456789abcdef0123":   "seed=42 SHA-256 aaaa0123456789abcdef0123",
		"pregate_passes: 12\n":                       "pregate_passes: 12\n",
	} {
		got := Text(in)
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
		if again := Text(got); again != got {
			t.Errorf("%s\nagain %s", got, again)
		}
	}
}

// A long log is redacted where it has to be, and all of it comes through.
func TestTextOfManyLines(t *testing.T) {
	plain := strings.Repeat("level=INFO msg=\"chunk claimed\" chunk_idx=7\n", 40)
	for _, c := range []struct{ in, want string }{
		{plain, plain},
		{plain + "password=hunter2", plain + "password=[removed]"},
		{"password=hunter2\n" + plain + "token=x\n" + plain, "password=[removed]\n" + plain + "token=[removed]\n" + plain},
		{plain + "password=\n\n\n hunter2\n" + plain, plain + "password=\n\n\n [removed]\n" + plain},
	} {
		if got := Text(c.in); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.in, got, c.want)
		}
	}
}

func BenchmarkText(b *testing.B) {
	text := strings.Repeat("time=2026-11-30T19:00:00.000Z level=INFO msg=\"chunk claimed\" run_id=pilot chunk_idx=12 worker_id=host-1234-abcd attempt=1\n", 10_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Text(text)
	}
}

func TestURLs(t *testing.T) {
	for in, want := range map[string]string{
		"nats://h:4222":                          "nats://h:4222",
		"nats://u:secret@h:4222,tls://token@i:1": "nats://[removed]@h:4222,tls://[removed]@i:1",
		"nats://u:%zz@h":                         "nats://[removed]@h",
		"u:secret@h:4222":                        "[removed]@h:4222",
		"nats://u:a b@h":                         "nats://[removed]@h",
		"nats://u:a,b@h":                         "nats://[removed]@h",
		"nats://u:a/b@h":                         "nats://[removed]@h",
		"h:1, nats://u:p@i:2":                    "h:1, nats://[removed]@i:2",
		"wss://h/x?token=abc":                    "wss://h/x?token=[removed]",
		"":                                       "",
	} {
		if got := URLs(in); got != want {
			t.Errorf("%s: %s (want %s)", in, got, want)
		}
		if got := URLs(URLs(in)); got != want {
			t.Errorf("%s, again: %s (want %s)", in, got, want)
		}
	}
}

func TestArgs(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"replay.py|--password=S3|--n|1", "replay.py|--password=[removed]|--n|1"},
		{"replay.py|--token|S3|--fast", "replay.py|--token|[removed]|--fast"},
		{"replay.py|--api-key|S3 x", "replay.py|--api-key|[removed]"},
		{"curl|-H|Authorization: Bearer S3|https://h", "curl|-H|Authorization: [removed]|https://h"},
		{"curl|-H|X-Trace: 1|-u|bob:S3", "curl|-H|X-Trace: 1|-u|bob:[removed]"},
		{"curl|--header=Authorization: Basic S3", "curl|--header=Authorization: [removed]"},
		{"python3|-u|replay.py|{task}", "python3|-u|replay.py|{task}"},
		{"env|API_TOKEN=S3|LEVEL=4|replay", "env|API_TOKEN=[removed]|LEVEL=4|replay"},
		{"run|--nats|u:S3@h:4222|--workers|2", "run|--nats|[removed]@h:4222|--workers|2"},
		{"run|--nats=nats://S3@h", "run|--nats=nats://[removed]@h"},
		{"run|--exec-env|FOO=S3|--exec-env|BAR|--exec-env|OMP_NUM_THREADS=4|--exec-env|A={slice}", "run|--exec-env|FOO=[removed]|--exec-env|BAR|--exec-env|OMP_NUM_THREADS=4|--exec-env|A={slice}"},
		{"run|--exec-env=FOO=S3|--slot-env|GPU=0,1", "run|--exec-env=FOO=[removed]|--slot-env|GPU=0,1"},
		{"sh|-c|curl -H \"Authorization: Bearer S3\" h", "sh|-c|curl -H \"Authorization: [removed]\" h"},
		{"x|--basic-auth|u:S3|--auth=S3|--stop-auth=true|--auth-url|h", "x|--basic-auth|[removed]|--auth=[removed]|--stop-auth=true|--auth-url|h"},
		{"x|--db|postgres://u:S3@h/d", "x|--db|postgres://[removed]@h/d"},
		{"x|u:S3@h", "x|[removed]@h"},
		{"x|--password|--verbose", "x|--password|--verbose"},
		{"x|--token={param.token}|--token|{param.token}", "x|--token={param.token}|--token|{param.token}"},
		{"x|--token-file|/run/t|--tlskey|k.pem|--creds|c", "x|--token-file|/run/t|--tlskey|k.pem|--creds|c"},
		{"x|-p|{slice}|a=b|", "x|-p|{slice}|a=b|"},
		{"x|--license-key|abcd1234abcd1234|--key|time", "x|--license-key|[removed]|--key|time"},
	} {
		in := strings.Split(c.in, "|")
		before := slices.Clone(in)
		got := Args(in)
		if text := strings.Join(got, "|"); text != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, text, c.want)
		}
		if !slices.Equal(in, before) || len(got) != len(in) {
			t.Errorf("%s: its argument became %q, %d of %d", c.in, in, len(got), len(in))
		}
		if again := Args(got); !slices.Equal(again, got) {
			t.Errorf("%q\nagain %q", got, again)
		}
	}
	if Args(nil) != nil {
		t.Error("of nothing something")
	}
}

func TestVarAndHeader(t *testing.T) {
	for in, want := range map[string]string{
		"NAME": "NAME", "GX1_*": "GX1_*", "A=S3": "A=[removed]", "A=": "A=", "N=4": "N=4", "OUT={out_dir}/x": "OUT={out_dir}/x", "OUT={out_dir}x": "OUT=[removed]", "GPU=0,0,1": "GPU=0,0,1", "PASSWORD=1234": "PASSWORD=[removed]", "A=a=b": "A=[removed]",
	} {
		if got := Var(in); got != want {
			t.Errorf("%s: %s (want %s)", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"Authorization: Bearer x": "Authorization: [removed]", "X-Vault-Token: s.x": "X-Vault-Token: [removed]", "Accept: text/html": "Accept: text/html",
		"X-My-Key: x": "X-My-Key: [removed]", "no header": "no header", "Referer: https://u:p@h": "Referer: https://[removed]@h",
	} {
		if got := Header(in); got != want {
			t.Errorf("%s: %s (want %s)", in, got, want)
		}
	}
}

// What is removed stays so, whatever follows, and what was redacted is not
// changed again: files are written from files.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{"://u:p@h", "token=abc", "--secret x", "-----BEGIN PRIVATE KEY-----", `"password":"x"`, "plain", "[removed]", "-H", "a: |\n b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "hunter2") || len(text) > 1<<12 {
			return
		}
		for _, got := range []string{Text("password=hunter2hunter2 " + text), Text(text + "\npassword=hunter2"), URLs("nats://u:hunter2@h," + text)} {
			if strings.Contains(got, "hunter2") {
				t.Fatalf("%q", got)
			}
		}
		args := Args([]string{text, "--password=hunter2", text, "--token", "hunter2"})
		if strings.Contains(strings.Join(args, "|"), "hunter2") || !slices.Equal(Args(args), args) {
			t.Fatalf("%q, again %q", args, Args(args))
		}
	})
}

func TestJSON(t *testing.T) {
	for in, want := range map[string]string{
		`{"api_token": "S3", "n": 1.50, "token": 12}`:                 `{"api_token": "[removed]", "n": 1.50, "token": 12}`,
		`{"argv":["x","--token","S3","--password=S3","plain"]}`:       `{"argv":["x","--token","[removed]","--password=[removed]","plain"]}`,
		`{"cookies": ["a"], "cookie": ["S3", {"x": "y"}], "z": null}`: `{"cookies": ["a"], "cookie": ["[removed]", {"x": "y"}], "z": null}`,
		`{"e":"see nats://u:S3@h \u003c\"token=S3\"","f":"\u003cok"}`: `{"e":"see nats://[removed]@h \u003c\"token=[removed]\"","f":"\u003cok"}`,
		"[ ]":                                   "[ ]",
		` {"a":{"secret":{"x":"kept"}}} `:       ` {"a":{"secret":{"x":"kept"}}} `,
		`"Authorization: Bearer S3"`:            `"Authorization: [removed]"`,
		`{"password": "S3"`:                     `{"password": "[removed]"`,
		`{"headers":["-H","X-Vault-Token:S3"]}`: `{"headers":["-H","X-Vault-Token: [removed]"]}`,
	} {
		if got := string(JSON([]byte(in))); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
}

// JSON stays JSON, with the same shape, and is not changed a second time.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"token":"x","a":[1,"--key","b",{"c":null}]}`, `["-H","Authorization: Bearer x"]`, `"\ud800\""`, `[[],{},"",-1e9]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) || len(text) > 1<<16 {
			return
		}
		got := JSON(text)
		if !json.Valid(got) || len(got) > 16*len(text)+16 {
			t.Fatalf("%s\nbecame %s", text, got)
		}
		if again := JSON(got); string(again) != string(got) {
			t.Fatalf("%s\nbecame %s\nand then %s", text, got, again)
		}
	})
}

// Texts that were made to be slow take about as long as others: with the square of
// their length they would take seconds each.
func TestHostileTexts(t *testing.T) {
	for _, unit := range []string{
		`key="`, `a=key `, "--key ", `\"key\":\"`, "://key:", "key: ", "?key=", "-----BEGIN PRIVATE KEY", "key|:\n", "key=\n", "Cookie:", `token='`, "bearer ", "SU", "eyJ", "key@://", "token: |\n",
	} {
		text := strings.Repeat(unit, 8<<10/len(unit))
		_, _ = Text(text), URLs(text)
	}
}
