"""Frozen dataclasses that are made quickly: a command makes five hundred of them as it starts, and uses a third.

``dataclass`` writes, compiles and runs six functions for each class, each as long as the class has fields: together a quarter of what
starting a call costs. Here ``__init__`` is compiled when it is first called, and the others need no text of their own.
"""

from typing import TYPE_CHECKING, Any, Final

__all__ = ["quick_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as quick_dataclass
else:
    from dataclasses import MISSING, FrozenInstanceError, dataclass, fields
    from operator import attrgetter
    from types import MemberDescriptorType

    def quick_dataclass(*, frozen, slots=False, kw_only=False, eq=True):
        """``dataclass``, always frozen, without an order. It inherits only from its own kind; any frozen one may inherit from it."""
        assert frozen

        def decorate(kind):
            written = {name for name in kind.__dict__ if name != "__hash__" or kind.__hash__ is not None}
            bases = [base.__dataclass_params__ for base in kind.__mro__[1:] if "__dataclass_params__" in base.__dict__]
            _set_frozen(bases, frozen=False)  # no functions of ``dataclass``'s that say so are compiled
            made = dataclass(kind, init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)
            _set_frozen([*bases, made.__dataclass_params__], frozen=True)
            functions = {**_FUNCTIONS, "__init__": _compiled_when_called(made), **(_comparing(made) if eq else {})}
            for name in functions.keys() - written:
                setattr(made, name, functions[name])
            return made

        return decorate

    def _set_frozen(params, *, frozen):
        for one in params:
            one.frozen = frozen

    def _compiled_when_called(made):
        def first(self, /, *in_order, **by_name):
            made.__init__ = _compiled(made)
            made.__init__(self, *in_order, **by_name)

        return first

    def _compiled(made):
        """As ``dataclass`` writes it: parameters in order, then those by name; a factory's value where nothing is given."""
        known, lines, parameters = {"_MISSING": MISSING}, [], []
        for one in sorted(fields(made), key=lambda one: one.kw_only):
            name, made_here = one.name, one.default_factory is not MISSING
            known[f"_of_{name}"] = one.default_factory if made_here else one.default
            if one.init:
                if one.kw_only and "*" not in parameters:
                    parameters.append("*")
                has_default = made_here or one.default is not MISSING
                parameters.append(f"{name}={'_MISSING' if made_here else f'_of_{name}'}" if has_default else name)
                value = f"_of_{name}() if {name} is _MISSING else {name}" if made_here else name
            elif made_here or one.default is not MISSING:
                value = f"_of_{name}()" if made_here else f"_of_{name}"
            else:
                continue
            slot = getattr(made, name, None)
            if isinstance(slot, MemberDescriptorType):  # a third quicker than by name
                known[f"_set_{name}"] = slot.__set__
                lines.append(f" _set_{name}(self, {value})")
            else:
                known["_set"] = object.__setattr__
                lines.append(f" _set(self, {name!r}, {value})")
        if hasattr(made, "__post_init__"):
            lines.append(" self.__post_init__()")
        # names of fields alone: nothing that anybody gives
        exec(f"def __init__({', '.join(['self', *parameters])}):\n" + "\n".join(lines or [" pass"]), known)  # noqa: S102
        known["__init__"].__qualname__ = f"{made.__qualname__}.__init__"
        return known["__init__"]

    def _comparing(made):
        values = _getter([one.name for one in fields(made) if one.compare])
        hashed = _getter([one.name for one in fields(made) if (one.compare if one.hash is None else one.hash)])

        def equals(self, other):
            if self is other:
                return True
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        def hash_of(self):
            return hash(hashed(self))

        return {"__eq__": equals, "__hash__": hash_of}

    def _getter(names):
        return attrgetter(*names) if names else lambda one: ()

    def _show(self):
        shown = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def _refuse_change(self, name, *value):
        raise FrozenInstanceError(f"{name} of {type(self).__name__} can't be changed")

    def _reduce(self):
        return _restored, (type(self), [getattr(self, one.name) for one in fields(self)])

    def _restored(kind, values):
        one = object.__new__(kind)
        for each, value in zip(fields(kind), values, strict=True):
            object.__setattr__(one, each.name, value)
        return one

    class _Signature:
        """What ``inspect.signature`` and ``help`` are told, made when somebody asks."""

        def __get__(self, instance, kind):
            from inspect import Parameter, Signature

            def parameter(one):
                default = one.default if one.default_factory is MISSING else "<factory>"
                how = Parameter.KEYWORD_ONLY if one.kw_only else Parameter.POSITIONAL_OR_KEYWORD
                return Parameter(one.name, how, default=Parameter.empty if default is MISSING else default, annotation=one.type)

            return Signature([parameter(one) for one in sorted(fields(kind), key=lambda one: one.kw_only) if one.init])

    _FUNCTIONS: Final[dict[str, Any]] = {
        "__signature__": _Signature(),
        "__repr__": _show,
        "__setattr__": _refuse_change,
        "__delattr__": _refuse_change,
        "__reduce__": _reduce,
    }
