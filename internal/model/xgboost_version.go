package model

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// What versions of XGBoost write in different ways: where the trees and their
// weights stand, and what a base score may be.

func xgbNewest() string { return fmt.Sprintf("%d.%d", xgbNewestMajor, xgbNewestMinor) }

// checkXGBVersion refuses files of versions that are not known.
func checkXGBVersion(name string, version []int, newer bool) error {
	if len(version) < 2 {
		return fieldError(name, "version", "is missing (want XGBoost 1.0 to %s)", xgbNewest())
	}
	major, minor := version[0], version[1]
	switch {
	case major < 1 || minor < 0:
		return fieldError(name, "version", "%d.%d is not supported (want XGBoost 1.0 to %s)", major, minor, xgbNewest())
	case newer:
	case major > xgbNewestMajor || major == xgbNewestMajor && minor > xgbNewestMinor:
		return newerVersion(name, fmt.Sprintf("XGBoost %d.%d", major, minor), xgbNewest())
	}
	return nil
}

// booster finds the trees and their weights.
func (r *xgbReader) booster() error {
	const at = "learner.gradient_booster"
	b := &r.file.Learner.Booster
	type weights struct {
		field string
		drop  []float32
	}
	var places []weights
	switch {
	case b.Name == "dart" && b.GBTree != nil && b.Model == nil:
		r.field, r.model = at+".gbtree.model", b.GBTree.Model
		if b.GBTree.Name != "" && b.GBTree.Name != "gbtree" {
			return fieldError(r.name, at+".gbtree.name", "%q is not supported (want gbtree)", b.GBTree.Name)
		}
		places = []weights{{at + ".weight_drop", b.Drop}, {at + ".gbtree.weight_drop", b.GBTree.Drop}}
	case b.Name == "dart":
		return fieldError(r.name, at+".gbtree", "is missing, or stands beside a model (want dart's trees there alone)")
	case b.Name != "gbtree":
		return fieldError(r.name, at+".name", "%q is not supported (want gbtree or dart)", b.Name)
	case b.GBTree != nil:
		return fieldError(r.name, at+".gbtree", "stands in a gbtree (want it in dart alone)")
	default:
		r.field, r.model = at+".model", b.Model
		places = []weights{{at + ".weight_drop", b.Drop}}
	}
	if r.model == nil {
		return fieldError(r.name, r.field, "is missing (want a trained model)")
	}
	places = append(places, weights{r.field + ".weight_drop", r.model.Drop})
	for _, w := range places {
		switch {
		case len(w.drop) == 0:
		case r.drop != nil:
			return fieldError(r.name, w.field, "is a second list of weights (want one)")
		case len(w.drop) != len(r.model.Trees):
			return fieldError(r.name, w.field, "has %d weights (want %d, one per tree)", len(w.drop), len(r.model.Trees))
		default:
			r.drop = w.drop
		}
	}
	if b.Name == "dart" && r.drop == nil && len(r.model.Trees) > 0 {
		return fieldError(r.name, at+".weight_drop", "is missing (want one weight per tree)")
	}
	return nil
}

// weighted is a leaf's value times the weight of its tree, rounded to float32
// as the library rounds it before it adds it to the sum.
func (r *xgbReader) weighted(tree int, leaf float32) float32 {
	if r.drop == nil {
		return leaf
	}
	return float32(leaf * r.drop[tree])
}

// clampedBaseMajor and clampedBaseMinor are the first version that takes a base score of 0 or 1, and
// clamps it to [xgbEps, 1-xgbEps] before it makes a margin of it.
const clampedBaseMajor, clampedBaseMinor = 3, 2

// xgbEps is XGBoost's kRtEps.
const xgbEps = float32(1e-6)

// ClampedBase is the base score of an XGBoost file if its version clamps it,
// as the file writes it; empty: it counts as it is, or the file is not one that
// ParseXGBoost takes.
func ClampedBase(file []byte) string {
	if isUBJSON(file) {
		var err error
		if file, err = ubjsonToJSON(file); err != nil {
			return ""
		}
	}
	var doc xgbFile
	if err := json.Unmarshal(file, &doc); err != nil || doc.Learner == nil || len(doc.Version) < 2 {
		return ""
	}
	text := doc.Learner.Param.BaseScore
	p, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), 32)
	if err != nil || !clampsBase(doc.Version) || clampBase(float32(p)) == float32(p) {
		return ""
	}
	return text
}

func clampsBase(version []int) bool {
	return version[0] > clampedBaseMajor || version[0] == clampedBaseMajor && version[1] >= clampedBaseMinor
}

func clampBase(p float32) float32 { return min(max(p, xgbEps), 1-xgbEps) }

// baseScore is a number, in brackets from version 3.1 on. What it may be, the
// version of the file says.
func (r *xgbReader) baseScore() (float32, error) {
	text := r.file.Learner.Param.BaseScore
	number := text
	if in, ok := strings.CutPrefix(text, "["); ok {
		if number, ok = strings.CutSuffix(in, "]"); !ok {
			number = ""
		}
	}
	clamped := clampsBase(r.file.Version)
	p, err := strconv.ParseFloat(number, 32)
	switch {
	case err == nil && clamped && p >= 0 && p <= 1:
		return clampBase(float32(p)), nil
	case err == nil && p > 0 && p < 1:
		return float32(p), nil
	case clamped:
		return 0, fieldError(r.name, paramField+".base_score", "%.40q (want one probability from 0 to 1)", text)
	}
	return 0, fieldError(r.name, paramField+".base_score", "%.40q (want one probability above 0 and below 1)", text)
}
