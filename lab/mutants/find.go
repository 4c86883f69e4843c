package main

import (
	"context"
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

const module = "github.com/gridos/sharedinfra"

// programs are the parts whose literal settings are changed, too; judges are searched for
// conditions.
var (
	programs = []string{"infra", "bootstrap", "apps"}
	judges   = []string{"policy", "internal/changes", "pipeline"}
)

// mutant is one change of one place.
type mutant struct {
	ID   int    `json:"-"`
	Key  string `json:"mutant"`
	File string `json:"file"`
	Line int    `json:"line"`
	// Setting says that the place is a literal that decides a registered input or option, or a
	// default of the configuration.
	Setting bool `json:"setting"`

	// reaches says that the place may be a setting, because its value is used. stated says that its
	// position is one for settings.
	reaches, stated bool
	// fixed says that the mutant is tried at each change.
	fixed bool
	edit  edit
}

// edit replaces the text from one offset to another by the result of wrap, after the edits inside
// it.
type edit struct {
	from, to int
	wrap     func(inner string) string
}

// source is a file with the mutants in it.
type source struct {
	path    string // relative to the repository
	text    []byte
	named   int // the offset after the name of the package
	mutants []*mutant
}

// find returns the files of the directories with their mutants, numbered from 1.
func find(ctx context.Context, root string, directories []string) ([]*source, error) {
	patterns := make([]string, len(directories))
	for i, d := range directories {
		patterns[i] = "./" + d + "/..."
	}
	loaded, err := packages.Load(&packages.Config{
		Context: ctx, Dir: root,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo |
			packages.NeedImports | packages.NeedExportFile | packages.NeedCompiledGoFiles,
	}, patterns...)
	if err != nil {
		return nil, fmt.Errorf("load the packages: %w", err)
	}
	var sources []*source
	for _, p := range loaded {
		if strings.HasSuffix(p.PkgPath, "test") { // a stand-in for tests, such as githubtest
			continue
		}
		for _, e := range p.Errors {
			return nil, fmt.Errorf("%s does not compile: %w", p.PkgPath, e)
		}
		for i, file := range p.Syntax {
			text, err := os.ReadFile(p.CompiledGoFiles[i])
			if err != nil {
				return nil, err
			}
			path, err := filepath.Rel(root, p.CompiledGoFiles[i])
			if err != nil {
				return nil, err
			}
			f := &finder{source: &source{path: path, text: text}, fset: p.Fset, info: p.TypesInfo, pkg: p.Types, file: file}
			f.named = f.offset(file.Name.End())
			f.walk(file)
			sources = append(sources, f.source)
		}
	}
	slices.SortFunc(sources, func(a, b *source) int { return strings.Compare(a.path, b.path) })
	id, seen := 0, map[string]int{}
	for _, s := range sources {
		for _, m := range s.mutants {
			id++
			m.ID = id
			seen[m.Key]++
			if n := seen[m.Key]; n > 1 {
				m.Key += fmt.Sprintf(" #%d", n)
			}
		}
	}
	return sources, nil
}

type finder struct {
	*source
	fset    *token.FileSet
	info    *types.Info
	pkg     *types.Package
	file    *ast.File
	parents []ast.Node
	within  string // the function or variable
}

func (f *finder) walk(root ast.Node) {
	ast.Inspect(root, func(n ast.Node) bool {
		if n == nil {
			f.parents = f.parents[:len(f.parents)-1]
			return false
		}
		if !f.visit(n) {
			return false
		}
		f.parents = append(f.parents, n)
		return true
	})
}

// visit records the mutants of a node. It returns false if there are none inside.
func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		f.within = n.Name.Name
	case *ast.GenDecl:
		if n.Tok != token.VAR {
			return false // imports, types and constants: a constant is turned where it is used
		}
		if len(f.parents) == 1 {
			f.within = "var"
		}
	case *ast.ArrayType, *ast.StructType, *ast.InterfaceType, *ast.FuncType:
		return false
	case *ast.ReturnStmt:
		f.returns(n)
	case *ast.IncDecStmt:
		f.counts(n)
	case *ast.CallExpr:
		// The words of a message are not part of the program's behaviour.
		if fun, ok := n.Fun.(*ast.SelectorExpr); ok && f.isMessage(fun) {
			return false
		}
	}
	e, ok := n.(ast.Expr)
	if !ok {
		return true
	}
	if tv := f.info.Types[e]; tv.Value != nil {
		if tv.IsValue() {
			f.literal(e, tv)
		}
		return false
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		f.operator(e)
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			f.add(e, e.Pos(), e.End(), f.textOf(e), f.textOf(e.X), func(id, inner string) string {
				return "(mutant_.On(" + id + ") != (" + inner + "))"
			})
		}
	}
	return true
}

func (f *finder) isMessage(fun *ast.SelectorExpr) bool {
	object := f.info.Uses[fun.Sel]
	if object == nil || object.Pkg() == nil {
		return false
	}
	switch object.Pkg().Path() {
	case "errors", "regexp", "log/slog":
		return object.Name() != "Is" && object.Name() != "As"
	case "fmt":
		return object.Name() == "Errorf" || strings.HasPrefix(object.Name(), "Fprint")
	}
	return false
}

// literal changes a constant expression. It takes the largest one, so that a conversion is changed
// together with its operand.
func (f *finder) literal(e ast.Expr, tv types.TypeAndValue) {
	if len(f.parents) == 0 {
		return
	}
	switch parent := f.parents[len(f.parents)-1].(type) {
	case *ast.CaseClause:
		return
	case *ast.KeyValueExpr:
		if parent.Key == e { // a key is a name, and may have to be a constant
			return
		}
	case *ast.ReturnStmt:
		if f.returnsError(parent) { // no caller looks at the other results
			return
		}
	}
	reaches := f.reachesSetting(e)
	basic, ok := tv.Type.Underlying().(*types.Basic)
	if !ok {
		return
	}
	text := f.textOf(e)
	var changed string
	switch {
	case basic.Info()&types.IsBoolean != 0:
		changed = "!(" + text + ")"
		if tv.Value.Kind() == constant.Bool && (text == "true" || text == "false") {
			changed = map[string]string{"true": "false", "false": "true"}[text]
		}
	case basic.Info()&types.IsNumeric != 0:
		changed = "(" + text + ") + 1"
		if isGreatest(basic, tv.Value) { // one more is no constant of the type
			changed = "(" + text + ") - 1"
		}
	case basic.Info()&types.IsString != 0 && reaches:
		if changed = f.sibling(e, text); changed == "" {
			changed = "(" + text + `) + "-mutant"`
		}
	default:
		return
	}
	named := f.nameOf(tv.Type)
	if named == "" {
		return
	}
	m := f.add(e, e.Pos(), e.End(), text, changed, func(id, inner string) string {
		return "mutant_.Pick[" + named + "](" + id + ", " + inner + ", " + changed + ")"
	})
	m.reaches, m.stated = reaches, reaches && f.isStated(e)
}

// isGreatest reports whether a constant is the greatest integer of its type, such as math.MaxInt.
func isGreatest(of *types.Basic, value constant.Value) bool {
	if of.Info()&types.IsInteger == 0 || of.Info()&types.IsUntyped != 0 {
		return false
	}
	bits := uint(8 * types.SizesFor("gc", runtime.GOARCH).Sizeof(of))
	if of.Info()&types.IsUnsigned == 0 {
		bits--
	}
	next := constant.Shift(constant.MakeInt64(1), token.SHL, bits)
	return constant.Compare(constant.BinaryOp(value, token.ADD, constant.MakeInt64(1)), token.EQL, next)
}

// nameOf returns the type's name as the file can write it, or "".
func (f *finder) nameOf(t types.Type) string {
	if named, ok := t.(*types.Named); ok {
		if named.Obj().Pkg() == nil {
			return named.Obj().Name()
		}
		if named.Obj().Pkg() == f.pkg {
			if named.Obj().Parent() != f.pkg.Scope() {
				return ""
			}
			return named.Obj().Name()
		}
		for _, spec := range f.file.Imports {
			imported := f.info.PkgNameOf(spec)
			if imported != nil && imported.Imported() == named.Obj().Pkg() && imported.Name() != "_" && imported.Name() != "." {
				return imported.Name() + "." + named.Obj().Name()
			}
		}
		return ""
	}
	if basic, ok := t.(*types.Basic); ok && basic.Info()&types.IsUntyped == 0 {
		return basic.Name()
	}
	if basic, ok := t.(*types.Basic); ok {
		return types.Default(basic).String()
	}
	return ""
}

// sibling returns the expression with its enumerated constant replaced by the next one of the same
// type, or "".
func (f *finder) sibling(e ast.Expr, text string) string {
	var changed string
	ast.Inspect(e, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok || changed != "" {
			return changed == ""
		}
		c, ok := f.info.Uses[id].(*types.Const)
		if !ok || c.Pkg() == nil {
			return true
		}
		named, ok := c.Type().(*types.Named)
		if !ok || c.Parent() != c.Pkg().Scope() {
			return true
		}
		var others []string
		for _, name := range c.Pkg().Scope().Names() {
			other, ok := c.Pkg().Scope().Lookup(name).(*types.Const)
			if ok && types.Identical(other.Type(), named) && !constant.Compare(other.Val(), token.EQL, c.Val()) &&
				(other.Exported() || c.Pkg() == f.pkg) {
				others = append(others, name)
			}
		}
		if len(others) == 0 {
			return true
		}
		next := others[0]
		if i := slices.IndexFunc(others, func(o string) bool { return o > c.Name() }); i >= 0 {
			next = others[i]
		}
		at := f.offset(id.Pos()) - f.offset(e.Pos())
		changed = text[:at] + next + text[at+len(id.Name):]
		return false
	})
	return changed
}

// reachesSetting reports whether a constant may reach a registered value: it is a value in a
// composite literal, an argument of the SDK or of a function of the programs, assigned, or
// returned.
func (f *finder) reachesSetting(e ast.Expr) bool {
	if !slices.ContainsFunc(programs, func(p string) bool { return strings.HasPrefix(f.path, p+string(filepath.Separator)) }) {
		return false
	}
	var child ast.Node = e
	for _, parent := range slices.Backward(f.parents) {
		switch p := parent.(type) {
		case *ast.ParenExpr:
		case *ast.BinaryExpr:
			switch p.Op {
			case token.ADD, token.SUB, token.MUL, token.QUO:
			default:
				return false
			}
		case *ast.KeyValueExpr:
			return p.Value == child
		case *ast.CompositeLit, *ast.AssignStmt, *ast.ValueSpec, *ast.ReturnStmt:
			return true
		case *ast.CallExpr:
			if tv := f.info.Types[p.Fun]; tv.IsType() {
				child = parent
				continue
			}
			return p.Fun != child && f.takesSettings(p.Fun)
		default:
			return false
		}
		child = parent
	}
	return false
}

// isStated reports whether a constant is in a position for settings: among the values of Pulumi and
// its providers, or in a composite literal that holds settings.
func (f *finder) isStated(e ast.Expr) bool {
	child := ast.Node(e)
	for _, parent := range slices.Backward(f.parents) {
		switch p := parent.(type) {
		case *ast.CompositeLit:
			if holdsSettings(f.info.TypeOf(p)) {
				return true
			}
		case *ast.CallExpr:
			if tv := f.info.Types[p.Fun]; p.Fun != child && (tv.IsType() && ofSDK(tv.Type) || f.isOfSDK(p.Fun)) {
				return true
			}
		case *ast.AssignStmt:
			left, ok := p.Lhs[0].(*ast.SelectorExpr)
			return ok && holdsSettings(f.info.TypeOf(left.X))
		case *ast.BlockStmt, *ast.FuncLit:
			return false
		}
		child = parent
	}
	return false
}

// holdsSettings reports whether values of the type are registered or configured: it belongs to
// Pulumi or one of its providers, is an exported struct of the programs, is written as JSON, or
// maps names to the values of a chart.
func holdsSettings(t types.Type) bool {
	if t == nil {
		return false
	}
	if pointer, ok := t.Underlying().(*types.Pointer); ok {
		t = pointer.Elem()
	}
	if ofSDK(t) {
		return true
	}
	switch underlying := t.Underlying().(type) {
	case *types.Map:
		element, ok := underlying.Elem().Underlying().(*types.Interface)
		return ok && element.Empty()
	case *types.Struct:
		if named, ok := types.Unalias(t).(*types.Named); ok && named.Obj().Exported() && ofPrograms(named.Obj().Pkg()) {
			return true
		}
		for i := range underlying.NumFields() {
			if strings.Contains(underlying.Tag(i), `json:"`) {
				return true
			}
		}
	}
	return false
}

func ofPrograms(p *types.Package) bool {
	return p != nil && slices.ContainsFunc(programs, func(program string) bool {
		return strings.HasPrefix(p.Path(), module+"/"+program+"/")
	})
}

// ofSDK reports whether a type belongs to Pulumi or to one of its providers.
func ofSDK(t types.Type) bool {
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Pkg() != nil && strings.HasPrefix(named.Obj().Pkg().Path(), "github.com/pulumi/")
}

// isOfSDK reports whether a call is of a function of Pulumi, such as Protect.
func (f *finder) isOfSDK(fun ast.Expr) bool {
	selector, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	object, ok := f.info.Uses[selector.Sel].(*types.Func)
	return ok && object.Signature().Recv() == nil && object.Pkg() != nil && strings.HasPrefix(object.Pkg().Path(), "github.com/pulumi/")
}

func (f *finder) takesSettings(fun ast.Expr) bool {
	var name *ast.Ident
	switch fun := fun.(type) {
	case *ast.Ident:
		name = fun
	case *ast.SelectorExpr:
		name = fun.Sel
	default:
		return false
	}
	switch object := f.info.Uses[name].(type) {
	case *types.Builtin:
		return object.Name() == "append" || object.Name() == "min" || object.Name() == "max"
	case *types.Func:
		if object.Signature().Recv() != nil || object.Pkg() == nil {
			return false
		}
		path := object.Pkg().Path()
		return path == "github.com/pulumi/pulumi/sdk/v3/go/pulumi" || !strings.HasPrefix(object.Name(), "New") && ofPrograms(object.Pkg())
	}
	return false
}

// opposites are the operators that replace others.
var opposites = map[token.Token]token.Token{
	token.EQL: token.NEQ, token.NEQ: token.EQL, token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.LAND: token.LOR, token.LOR: token.LAND,
}

func (f *finder) operator(e *ast.BinaryExpr) {
	other, ok := opposites[e.Op]
	if !ok {
		return
	}
	left, right := f.textOf(e.X), f.textOf(e.Y)
	changed := left + " " + other.String() + " " + right
	f.add(e, e.Pos(), e.End(), left+" "+e.Op.String()+" "+right, changed, func(id, inner string) string {
		if e.Op == token.EQL || e.Op == token.NEQ {
			return "(mutant_.On(" + id + ") != (" + inner + "))"
		}
		return "(mutant_.On(" + id + ") && (" + changed + ") || !mutant_.On(" + id + ") && (" + inner + "))"
	})
}

// returns removes the error from a return.
func (f *finder) returns(n *ast.ReturnStmt) {
	if len(n.Results) == 0 || !f.inBlock() {
		return
	}
	last := n.Results[len(n.Results)-1]
	if t := f.info.TypeOf(last); t == nil || t.String() != "error" || f.textOf(last) == "nil" {
		return
	}
	from, to := f.offset(last.Pos()), f.offset(last.End())
	start, end := f.offset(n.Pos()), f.offset(n.End())
	changed := string(f.text[start:from]) + "nil" + string(f.text[to:end])
	f.add(n, n.Pos(), n.End(), string(f.text[start:end]), changed, func(id, inner string) string {
		return "if mutant_.On(" + id + ") { " + changed + " }; " + inner
	})
}

// returnsError reports whether a return has an error for certain: one that it makes itself, or a
// variable that the condition around it has compared with nil.
func (f *finder) returnsError(n *ast.ReturnStmt) bool {
	last := n.Results[len(n.Results)-1]
	if t := f.info.TypeOf(last); t == nil || t.String() != "error" {
		return false
	}
	if call, ok := last.(*ast.CallExpr); ok {
		fun, ok := call.Fun.(*ast.SelectorExpr)
		return ok && f.isMessage(fun)
	}
	for _, parent := range slices.Backward(f.parents) {
		if around, ok := parent.(*ast.IfStmt); ok {
			return f.textOf(around.Cond) == f.textOf(last)+" != nil"
		}
	}
	return false
}

func (f *finder) counts(n *ast.IncDecStmt) {
	if !f.inBlock() {
		return
	}
	x := f.textOf(n.X)
	changed := x + "--"
	if n.Tok == token.DEC {
		changed = x + "++"
	}
	f.add(n, n.Pos(), n.End(), x+n.Tok.String(), changed, func(id, inner string) string {
		return "if mutant_.On(" + id + ") { " + changed + " } else { " + inner + " }"
	})
}

func (f *finder) inBlock() bool {
	switch f.parents[len(f.parents)-1].(type) {
	case *ast.BlockStmt, *ast.CaseClause, *ast.CommClause:
		return true
	}
	return false
}

func (f *finder) offset(p token.Pos) int { return f.fset.Position(p).Offset }

func (f *finder) textOf(n ast.Node) string {
	return string(f.text[f.offset(n.Pos()):f.offset(n.End())])
}

// add records a mutant. Its name has no line number, because other changes of the file would move
// it.
func (f *finder) add(n ast.Node, from, to token.Pos, original, changed string, wrap func(id, inner string) string) *mutant {
	where := f.fset.Position(n.Pos())
	m := &mutant{
		File: f.path, Line: where.Line,
		Key: fmt.Sprintf("%s %s: %s → %s", f.path, f.within, short(original), short(changed)),
	}
	m.edit = edit{from: f.offset(from), to: f.offset(to), wrap: func(inner string) string { return wrap(fmt.Sprint(m.ID), inner) }}
	f.mutants = append(f.mutants, m)
	return m
}

func short(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > 70 {
		return string(runes[:69]) + "…"
	}
	return text
}
