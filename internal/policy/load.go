package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// PregateEnv is the variable whose value Options.PregateEnv carries.
const PregateEnv = "GX1_REPLAY_PREGATE_ENABLED"

// Options say how strictly a policy is read and what overrides it. The zero
// Options validate every key and ask for no model.
type Options struct {
	// PregateEnv is the value of GX1_REPLAY_PREGATE_ENABLED, nil if it is not
	// set: 0, 1, false or true in any case, anything else is an error. It is
	// not looked at where PregateFlag is set.
	PregateEnv *string
	// PregateFlag is the value of --pregate, nil if it was not given.
	PregateFlag *bool
	// Strict makes each unknown key an error.
	Strict bool
	// RefuseMistakes makes an unknown key an error in a section that is this
	// program's alone, and elsewhere where it is near one of this program's; and
	// a zero that would count as not given. It is for a policy that a user has
	// written; what travels was judged before.
	RefuseMistakes bool
	// NeedModel is for the engine that replays by itself (builtin): a missing
	// model, model file or include is an error.
	NeedModel bool
	// GateOnly is for the engine that runs a user's command (exec): only the
	// name and the gate are this program's, so keys of the built-in engine
	// that have another shape or meaning are unknown keys and no errors.
	GateOnly bool
	// AcceptNewerModel sets model.accept_newer_version.
	AcceptNewerModel bool
	// ReadFile reads the policy file and the files that it names; nil:
	// os.ReadFile.
	ReadFile func(string) ([]byte, error)
}

// Load reads the policy file at path, the files that it includes and its model
// files. Whatever is wrong with them comes as one Errors, but for what is in
// model files, which is not looked at; a policy file that cannot be read is an
// error of ReadFile, wrapped.
func Load(path string, opt Options) (Policy, error) {
	if opt.ReadFile == nil {
		opt.ReadFile = os.ReadFile
	}
	content, err := opt.ReadFile(path)
	if err != nil {
		return Policy{}, fmt.Errorf("reading the policy: %w", err)
	}
	d := newDocument(path, opt)
	if d.root = parseTree(path, content, &d.r.errs); d.root != nil {
		d.dir, d.reads = filepath.Dir(path), true
		d.keepFile(path, content)
		d.mergeIncludes()
		d.placeFiles()
	}
	return d.finish()
}

// Parse reads a self-contained document, such as a Policy's Content; name
// stands for it in errors. It reads no file: an include that is still named is
// an error with NeedModel, and otherwise one of MissingIncludes.
func Parse(name string, content []byte, opt Options) (Policy, error) {
	d := newDocument(name, opt)
	if d.root = parseTree(name, content, &d.r.errs); d.root != nil {
		d.namedIncludes()
	}
	return d.finish()
}

// document is a policy on its way from bytes to Policy.
type document struct {
	name  string
	opt   Options
	files []string // the policy file, then its includes
	// reads: files that the document names are read, relative to dir, where
	// the policy file is, or else to the working directory.
	reads bool
	dir   string
	root  *node
	// partial: an include could not be read, so what it would have brought
	// is not missing.
	partial bool
	r       *reader
	top     *section
	p       Policy
}

func newDocument(name string, opt Options) *document {
	return &document{name: name, opt: opt, files: []string{name}, r: &reader{refuse: !opt.GateOnly}}
}

// finish validates the merged document and makes the Policy of it.
func (d *document) finish() (Policy, error) {
	if d.root != nil {
		d.read()
		d.strict()
	}
	d.override()
	if len(d.r.errs) > 0 {
		return Policy{}, d.r.errs.sorted(d.files)
	}
	d.p.SHA256, d.p.SHA256WithoutGate = d.p.digests(d.r.others)
	if err := d.write(); err != nil {
		return Policy{}, err
	}
	return d.p, nil
}

// mergeIncludes replaces entry_config by the keys of the file that it names
// (shallowly, the policy's own keys win) and exit_config by that file's map.
func (d *document) mergeIncludes() {
	if v := d.root.get(entryConfig); d.isPath(v, entryConfig) {
		if inc := d.include(v, entryConfig, d.opt.NeedModel); inc != nil {
			d.root.remove(entryConfig)
			own := map[string]bool{strconv.Quote(entryConfig): true}
			for _, p := range d.root.pairs {
				own[p.key.canonical()] = true
			}
			for _, p := range inc.pairs {
				if !own[p.key.canonical()] {
					d.root.pairs = append(d.root.pairs, p)
				}
			}
		}
	}
	if v := d.root.get(exitConfig); d.isPath(v, exitConfig) {
		need := d.opt.NeedModel && d.root.get("exit").absent()
		if inc := d.include(v, exitConfig, need); inc != nil {
			d.root.set(exitConfig, inc)
		}
	}
}

// namedIncludes is mergeIncludes for a document that has to hold everything.
func (d *document) namedIncludes() {
	for _, key := range []string{entryConfig, exitConfig} {
		v := d.root.get(key)
		if !d.isPath(v, key) {
			continue
		}
		if d.opt.NeedModel && (key == entryConfig || d.root.get("exit").absent()) {
			d.partial = true
			d.r.fail(v, key, "file %s is not part of this document (want its content)", v.shown())
			continue
		}
		d.missing(key, v)
	}
}

// isPath reports whether an include's value names a file. Where it should and
// does not, it says so; with GateOnly it is one more unknown key.
func (d *document) isPath(v *node, key string) bool {
	switch {
	case v.absent(), key == exitConfig && v.kind != scalar:
		return false
	case v.kind == scalar && v.text != "":
		return true
	case d.opt.GateOnly:
		d.r.others = append(d.r.others, other{path: key, key: v, val: v})
	default:
		d.r.fail(v, key, "%s is not a path (want the name of a YAML file)", v.shown())
	}
	return false
}

// missing keeps an include that could not be merged: by name for whoever
// warns, and as it stands for the digest.
func (d *document) missing(key string, v *node) {
	d.p.MissingIncludes = append(d.p.MissingIncludes, v.text)
	d.r.others = append(d.r.others, other{path: key, key: v, val: v, harmless: true})
}

// include reads the file that v names.
func (d *document) include(v *node, key string, need bool) *node {
	path, content, err := d.readNamed(v.text)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && !need:
		d.missing(key, v)
		return nil
	case err != nil:
		d.partial = true
		d.r.fail(v, key, "%v", err)
		return nil
	}
	d.files = append(d.files, path)
	d.keepFile(v.text, content)
	tree := parseTree(path, content, &d.r.errs)
	d.partial = d.partial || tree == nil
	return tree
}

// readNamed reads a file that the document names, and says where it was found.
func (d *document) readNamed(name string) (path string, content []byte, err error) {
	paths := []string{name}
	if joined := filepath.Join(d.dir, name); !filepath.IsAbs(name) && joined != filepath.Clean(name) {
		paths = []string{joined, name}
	}
	for _, path := range paths {
		content, err := d.opt.ReadFile(path)
		if err == nil {
			return path, content, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, fmt.Errorf("cannot be read: %w", err)
		}
	}
	return "", nil, missingFile{paths}
}

// missingFile says where a file was looked for.
type missingFile struct{ paths []string }

func (e missingFile) Error() string {
	return "no such file (looked for " + strings.Join(e.paths, " and ") + ")"
}

func (missingFile) Is(target error) bool { return target == fs.ErrNotExist }

// override applies the environment and the flag to the gate.
func (d *document) override() {
	g := &d.p.Pregate
	switch {
	case d.opt.PregateFlag != nil:
		g.Enabled, g.EnabledSource = *d.opt.PregateFlag, SourceFlag
	case d.opt.PregateEnv != nil:
		g.EnabledSource = SourceEnv
		switch strings.ToLower(*d.opt.PregateEnv) {
		case "1", "true":
			g.Enabled = true
		case "0", "false":
			g.Enabled = false
		default:
			d.r.errs = append(d.r.errs, Error{File: "environment", Key: PregateEnv,
				Msg: fmt.Sprintf("%q is not a boolean (want 0, 1, false or true)", *d.opt.PregateEnv)})
		}
	}
}

// strict turns what nobody read into UnknownKeys, and with Strict into errors.
func (d *document) strict() {
	for _, o := range d.r.others {
		if o.harmless {
			continue
		}
		d.p.UnknownKeys = append(d.p.UnknownKeys, o.path)
		switch {
		case d.opt.Strict:
			d.r.fail(o.key, o.path, "is not a key that this version reads (want it removed, or no --strict)")
		case d.opt.RefuseMistakes && o.misspelt != "":
			d.r.fail(o.key, o.path, "%s", o.misspelt)
		}
	}
	slices.Sort(d.p.UnknownKeys)
	d.p.UnknownKeys = slices.Compact(d.p.UnknownKeys)
}

// write makes Content: the merged document with the gate's effective switch
// and the policy's name in it. It is read back, because a worker will.
func (d *document) write() error {
	if v := d.root.get("policy_name"); v.absent() || v.text != d.p.Name {
		d.root.set("policy_name", &node{file: d.name, tag: "!!str", text: d.p.Name})
	}
	gate := d.root
	for _, key := range []string{"replay_config", "replay_pregate"} {
		next := gate.get(key)
		if next.absent() {
			next = &node{file: d.name, kind: mapping, tag: "!!map"}
			gate.set(key, next)
		}
		gate = next
	}
	gate.set("enabled", d.root.word("!!bool", fmt.Sprint(d.p.Pregate.Enabled)))
	if m := d.root.get("model"); d.opt.AcceptNewerModel && d.p.Model != nil && m != nil && m.kind == mapping {
		m.set(acceptNewerKey, d.root.word("!!bool", "true"))
	}

	d.p.Content = d.root.content()
	var errs Errors
	back := parseTree(d.name+" (merged)", d.p.Content, &errs)
	if back == nil || len(errs) > 0 {
		return errs
	}
	if back.canonical() != d.root.canonical() {
		return fmt.Errorf("writing policy %s as one document: what was read back differs", d.name)
	}
	return nil
}
