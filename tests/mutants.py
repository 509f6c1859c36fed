"""Mutants: the small changes of a module's source that some test should notice.

A change is one operator, constant, condition, statement, keyword argument or element of a table.
What no test can see is left alone: annotations and other types, docstrings, asserts (they tell the
type checker what is so, as `strict` of `zip` does), and the decorators of data classes."""

from __future__ import annotations

import ast
from copy import copy
from typing import Final, NamedTuple

COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
"""The comparison that takes the place of another: the next value at a limit, or the opposite."""

OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
"""The operator that takes the place of another."""

OPPOSITES: Final = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
"""Comparisons that `COMPARISONS` negates, so that a condition of one need not be negated again."""


class Mutant(NamedTuple):
    """A changed source: the text from *start* to *end* (offsets in characters) is *after* in place
    of *before*. *line* counts from 1, *code* is that line, and *lines* are those of the statement,
    or of its head. *function* is the qualified name of the outermost function around it, or "" for
    what runs at import."""

    module: str
    function: str
    line: int
    lines: range
    code: str
    kind: str
    start: int
    end: int
    before: str
    after: str

    def __str__(self) -> str:
        before, after = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{self.module}:{self.line} {self.kind}: {before} → {after}"

    @property
    def change(self) -> str:
        """The change alone, in one line, as lists of mutants have it."""
        before, after = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{before} → {after}"

    def applied(self, source: str) -> str:
        return source[: self.start] + self.after + source[self.end :]


def mutants_of(source: str, module: str) -> list[Mutant]:
    """All mutants of *source*, in the order of the text."""
    found = _Mutants(source, module)
    found.visit(ast.parse(source))
    unique = {(mutant.start, mutant.end, mutant.after): mutant for mutant in found.mutants}
    return [unique[place] for place in sorted(unique)]


class _Mutants(ast.NodeVisitor):
    """Collects the mutants of a module."""

    def __init__(self, source: str, module: str) -> None:
        self.mutants: list[Mutant] = []
        self._source = source
        self._module = module
        self._lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self._scope: list[str] = []
        self._function = ""
        self._statement = range(1, 2)

    # Places in the source

    def _offset(self, line: int, column: int) -> int:
        """*column* counts bytes, as the parser does."""
        text = self._lines[line - 1]
        if not text.isascii():
            column = len(text.encode()[:column].decode())
        return self._starts[line - 1] + column

    def _add(self, node: ast.expr | ast.stmt, after: str | ast.expr, kind: str) -> None:
        if isinstance(after, ast.expr):
            after = f"({ast.unparse(after)})"
        assert node.end_lineno
        assert node.end_col_offset is not None
        start = self._offset(node.lineno, node.col_offset)
        end = self._offset(node.end_lineno, node.end_col_offset)
        code = self._lines[node.lineno - 1].strip()
        before = self._source[start:end]
        mutant = (
            self._module,
            self._function,
            node.lineno,
            self._statement,
            code,
            kind,
            start,
            end,
        )
        self.mutants.append(Mutant(*mutant, before, after))

    # What no test can see

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_Import(self, node: ast.Import) -> None:
        pass

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        pass

    def visit_arg(self, node: ast.arg) -> None:
        pass

    # Statements

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            last = node.end_lineno or node.lineno
            body = getattr(node, "body", None)
            if isinstance(body, list):
                last = max(node.lineno, body[0].lineno - 1)
            outer, self._statement = self._statement, range(node.lineno, last + 1)
            super().visit(node)
            self._statement = outer
        else:
            super().visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Bases and decorators stay."""
        self._scope.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self._scope.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if any("overload" in ast.unparse(decorator) for decorator in node.decorator_list):
            return
        self.visit(node.args)
        self._scope.append(node.name)
        outer = self._function
        self._function = outer or ".".join(self._scope)
        for statement in node.body:
            self.visit(statement)
        self._function = outer
        self._scope.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value and "TypeAlias" not in ast.unparse(node.annotation):
            self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return  # a docstring, or `...`
        if isinstance(node.value, ast.Call | ast.Await):
            self._add(node, "pass", "statement left out")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        is_member = isinstance(node.targets[0], ast.Attribute | ast.Subscript)
        if is_member and self._scope[-1:] != ["__init__"]:
            self._add(node, "pass", "statement left out")
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        other = OPERATORS[type(node.op)]()
        changed = ast.AugAssign(target=node.target, op=other, value=node.value)
        self._add(node, ast.unparse(changed), "operator")
        self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        if node.exc and not (isinstance(node.exc, ast.Call) and _is_abstract(node.exc)):
            self._add(node, "pass", "statement left out")
            self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            if not isinstance(node.value, ast.Constant):
                self._add(node, "return None", "result")
            self.visit(node.value)

    def visit_Break(self, node: ast.Break) -> None:
        self._add(node, "continue", "jump")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add(node, "break", "jump")

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return
        self._negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    # Expressions

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self._negate(condition)
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        """Compares and `not` have mutants of their own that do so."""
        is_negated_anyway = (
            isinstance(test, ast.Compare)
            and len(test.ops) == 1
            and isinstance(test.ops[0], OPPOSITES)
        ) or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))
        if not is_negated_anyway and not isinstance(test, ast.Constant):
            self._add(test, ast.UnaryOp(op=ast.Not(), operand=test), "condition")

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        match value:
            case bool():
                self._add(node, str(not value), "constant")
            case int() | float():
                self._add(node, repr(value + 1), "constant")
            case str():
                self._add(node, repr(f"XX{value}XX" if value else "XX"), "constant")
            case bytes():
                self._add(node, repr(b"XX" + value + b"XX" if value else b"XX"), "constant")

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """What is inside has no place of its own in the source before Python 3.12."""
        changed = copy(node)
        changed.values = [ast.Constant("XX"), *changed.values, ast.Constant("XX")]
        self._add(node, changed, "constant")

    def visit_Compare(self, node: ast.Compare) -> None:
        for place, operator in enumerate(node.ops):
            changed = copy(node)
            changed.ops = [*node.ops]
            changed.ops[place] = COMPARISONS[type(operator)]()
            self._add(node, changed, "comparison")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        changed = copy(node)
        changed.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        self._add(node, changed, "and/or")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._add(node, node.operand, "condition")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.BitOr) and _is_type(node.left) and _is_type(node.right):
            return
        if other := OPERATORS.get(type(node.op)):
            changed = copy(node)
            changed.op = other()
            self._add(node, changed, "operator")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not _is_type(node):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        if name in ("TypeVar", "ParamSpec", "NewType"):
            return
        if name == "cast":
            self.visit(node.args[1])
            return
        if name == "zip":
            for argument in node.args:
                self.visit(argument)
            return  # its `strict=True` asserts
        for place, keyword in enumerate(node.keywords):
            if keyword.arg:
                changed = copy(node)
                changed.keywords = [*node.keywords[:place], *node.keywords[place + 1 :]]
                self._add(node, changed, f"without {keyword.arg}=")
        self.generic_visit(node)

    def visit_Tuple(self, node: ast.Tuple | ast.List | ast.Set) -> None:
        if not self._function and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            for place in range(len(node.elts)):
                changed = copy(node)
                changed.elts = [*node.elts[:place], *node.elts[place + 1 :]]
                self._add(node, changed, f"without element {place + 1}")
        self.generic_visit(node)

    visit_List = visit_Tuple  # noqa: N815
    visit_Set = visit_Tuple  # noqa: N815

    def visit_Dict(self, node: ast.Dict) -> None:
        for place, key in enumerate(node.keys):
            if key:
                changed = copy(node)
                changed.keys = [*node.keys[:place], *node.keys[place + 1 :]]
                changed.values = [*node.values[:place], *node.values[place + 1 :]]
                self._add(node, changed, f"without {ast.unparse(key)}")
        self.generic_visit(node)


def _is_abstract(error: ast.Call) -> bool:
    return ast.unparse(error.func) == "NotImplementedError"


def _is_type(node: ast.expr) -> bool:
    """Whether *node* is most likely a type: what is subscribed in annotations, a class, or None."""
    match node:
        case ast.Constant(value=None):
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in ("int", "str", "float", "bool", "bytes", "dict", "list", "tuple") or (
                name[:1].isupper() and not name.isupper()
            )
        case ast.Subscript(value=ast.Name() | ast.Attribute()):
            return _is_type(node.value)
        case ast.BinOp(op=ast.BitOr()):
            return _is_type(node.left) and _is_type(node.right)
    return False
