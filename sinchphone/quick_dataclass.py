"""Frozen dataclasses that are made quickly: those that every command line makes, most of them never used.

``dataclass`` writes, compiles and runs six functions for each class, each as long as the class has fields: a third of what completing
one word cost. Here one function of each kind serves all classes.
"""

from typing import TYPE_CHECKING, Any, Final

__all__ = ["quick_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as quick_dataclass
else:
    from dataclasses import MISSING, FrozenInstanceError, dataclass, fields

    def quick_dataclass(*, frozen, slots=False, kw_only=False):
        """``dataclass``, always frozen, without an order. One inherits only from its own kind."""
        assert frozen

        def decorate(kind):
            made = dataclass(kind, init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)
            for name, function in _FUNCTIONS.items():
                setattr(made, name, function)
            return made

        return decorate

    def _init(self, *in_order, **by_name):
        known = fields(self)
        if in_order:
            names = [one.name for one in known if not one.kw_only][: len(in_order)]
            if len(names) < len(in_order) or not by_name.keys().isdisjoint(names):
                raise TypeError(f"{type(self).__name__} takes fewer values in order")
            by_name |= zip(names, in_order, strict=True)
        for one in known:
            if one.name in by_name:
                value = by_name.pop(one.name)
            elif one.default is not MISSING:
                value = one.default
            elif one.default_factory is not MISSING:
                value = one.default_factory()
            else:
                raise TypeError(f"{type(self).__name__} needs {one.name}")
            object.__setattr__(self, one.name, value)
        if by_name:
            raise TypeError(f"{type(self).__name__} has no {', '.join(by_name)}")
        if hasattr(self, "__post_init__"):
            self.__post_init__()

    def _refuse_change(self, name, *value):
        raise FrozenInstanceError(f"{name} of {type(self).__name__} can't be changed")

    def _equals(self, other):
        if type(other) is not type(self):
            return NotImplemented
        return _values(self) == _values(other)

    def _hash(self):
        return hash(_values(self))

    def _show(self):
        shown = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def _values(self):
        return tuple(getattr(self, one.name) for one in fields(self))

    def _reduce(self):
        return _restored, (type(self), _values(self))

    def _restored(kind, values):
        return kind(**dict(zip((one.name for one in fields(kind)), values, strict=True)))

    class _Signature:
        """What ``inspect.signature`` and ``help`` are told, made when somebody asks."""

        def __get__(self, instance, kind):
            from inspect import Parameter, Signature

            def parameter(one):
                default = one.default if one.default_factory is MISSING else "<factory>"
                how = Parameter.KEYWORD_ONLY if one.kw_only else Parameter.POSITIONAL_OR_KEYWORD
                return Parameter(one.name, how, default=Parameter.empty if default is MISSING else default, annotation=one.type)

            return Signature([parameter(one) for one in sorted(fields(kind), key=lambda one: one.kw_only)])

    _FUNCTIONS: Final[dict[str, Any]] = {
        "__signature__": _Signature(),
        "__init__": _init,
        "__setattr__": _refuse_change,
        "__delattr__": _refuse_change,
        "__eq__": _equals,
        "__hash__": _hash,
        "__repr__": _show,
        "__reduce__": _reduce,
    }
