package judge

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestInvariant1_NoProductCanBeFused: the package imports nothing impure, and in the sources of the package every product
// of variables that rounds is inside a conversion, or in a product or quotient that is. The
// language allows a fused operation across statements and inlined calls, so a
// product in a return statement needs one, too.
func TestInvariant1_NoProductCanBeFused(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		n, bad := products(file)
		found += n
		for _, pos := range bad {
			t.Errorf("%s: a product that is not inside a conversion", set.Position(pos))
		}
		for _, i := range file.Imports {
			if slices.Contains([]string{`"os"`, `"time"`, `"math/rand"`, `"math/rand/v2"`, `"crypto/rand"`, `"math/cmplx"`}, i.Path.Value) {
				t.Errorf("%s imports %s: the package is pure", e.Name(), i.Path.Value)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "math" && !exactEverywhere[s.Sel.Name] {
					t.Errorf("%s: math.%s is not known to be exact on every processor", set.Position(s.Pos()), s.Sel.Name)
				}
			}
			return true
		})
	}
	if found < 50 {
		t.Errorf("%d products found (want 50 or more)", found)
	}
}

// exactEverywhere are the names of package math that give the same bits on every
// processor.
var exactEverywhere = map[string]bool{
	"Abs": true, "Floor": true, "Ceil": true, "Round": true, "Sqrt": true, "Frexp": true, "Ldexp": true, "IsNaN": true, "IsInf": true, "Inf": true, "NaN": true,
	"MaxInt64": true, "MinInt64": true, "MaxFloat64": true, "Pi": true, "Sqrt2": true, "Log2E": true,
}

// products counts those of a file and lists those that could be fused.
func products(file *ast.File) (n int, bad []token.Pos) {
	var stack []ast.Node
	ast.Inspect(file, func(node ast.Node) bool {
		if node == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		if b, ok := node.(*ast.BinaryExpr); ok && b.Op == token.MUL && !exactProduct(b.X, b.Y) {
			n++
			if !rounded(stack) {
				bad = append(bad, b.Pos())
			}
		}
		if a, ok := node.(*ast.AssignStmt); ok && a.Tok == token.MUL_ASSIGN {
			bad = append(bad, a.Pos())
		}
		stack = append(stack, node)
		return true
	})
	return n, bad
}

// exactProduct reports whether a product is of constants, or with 2, which rounds
// nothing.
func exactProduct(x, y ast.Expr) bool {
	a, isA := x.(*ast.BasicLit)
	b, isB := y.(*ast.BasicLit)
	return isA && isB || isA && a.Value == "2" || isB && b.Value == "2"
}

// rounded reports whether the innermost node of stack rounds a product in it.
func rounded(stack []ast.Node) bool {
	for i := len(stack) - 1; i >= 0; i-- {
		switch p := stack[i].(type) {
		case *ast.ParenExpr, *ast.UnaryExpr:
		case *ast.BinaryExpr:
			if p.Op == token.MUL {
				return true // the outer product is looked at by itself
			}
			return p.Op == token.QUO
		case *ast.CallExpr:
			if s, ok := p.Fun.(*ast.SelectorExpr); ok {
				return s.Sel.Name == "Round"
			}
			id, ok := p.Fun.(*ast.Ident)
			return ok && (id.Name == "float64" || id.Name == "int64" || id.Name == "int")
		default:
			return false
		}
	}
	return false
}

func TestProductsAreFound(t *testing.T) {
	for _, c := range []struct {
		text string
		bad  int
	}{
		{"x*y + z", 1}, {"float64(x*y) + z", 0}, {"x*y/z + 1", 0}, {"float64(x*y*z) + 1", 0}, {"f(x*y)", 1},
		{"-(x*y) + z", 1}, {"float64(-(x*y)) + z", 0}, {"(x*y + z)/2", 1}, {"x*(y*z + 1)", 2},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n\nfunc g() float64 { return "+c.text+" }\n", 0)
		if err != nil {
			t.Fatal(err)
		}
		if n, bad := products(file); len(bad) != c.bad || n == 0 {
			t.Errorf("%s: %d products, %d not rounded (want %d)", c.text, n, len(bad), c.bad)
		}
	}
}
