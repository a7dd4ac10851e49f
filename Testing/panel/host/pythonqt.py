"""PySide6 as PythonQt shows Qt to Slicer's modules: one module `qt`, properties as attributes, signals by signature."""

import inspect
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

MODULES = (QtCore, QtGui, QtWidgets)


VIRTUAL = ("sizeHint", "minimumSizeHint")
"""Properties whose getter Qt looks for in Python first: asked for as properties, they would ask for themselves."""


class UiLoader(QtUiTools.QUiLoader):
    """Makes the widgets of a form from `qt` and from the stand-ins, and keeps their Python halves alive."""

    stand_ins: ClassVar[dict[str, type]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Any] = []

    def createWidget(self, name, parent=None, object_name=""):  # noqa: N802 - Qt's name
        kind = self.stand_ins.get(name) or getattr(sys.modules["qt"], name, None)
        if kind is None:
            raise LookupError(f"the form asks for {name}, for which there is no stand-in")
        widget = kind(parent)
        widget.setObjectName(object_name)
        self.made.append(widget)
        return widget

    def load(self, file, parent=None):
        """Load a form, with the connections that PySide6 drops because their signals carry nodes of MRML."""
        form = super().load(file, parent)
        form.made = self.made
        file.seek(0)
        text = bytes(file.readAll().data()).decode()
        wiring = r"<sender>(\w+)</sender>\s*<signal>(\w+)\(.*?\)</signal>\s*<receiver>(\w+)</receiver>\s*<slot>(\w+)\("
        by_name = {widget.objectName: widget for widget in [form, *self.made]}
        for sender, signal, receiver, slot in re.findall(wiring, text):
            getattr(by_name[sender], signal).connect(getattr(by_name[receiver], slot))
        return form


def install() -> ModuleType:
    """Make `import qt` work, as PythonQt does it."""
    _show_properties()
    qt = ModuleType("qt")
    for module in MODULES:
        for name in dir(module):
            value = getattr(module, name)
            if not name.startswith("_"):
                setattr(qt, name, _with_signatures(value) if _is_widget_like(value) else value)
    qt.QUiLoader = UiLoader
    sys.modules["qt"] = qt
    return qt


def _is_widget_like(value: Any) -> bool:
    return (
        isinstance(value, type) and issubclass(value, QtCore.QObject) and not issubclass(value, QtCore.QCoreApplication)
    )


def _show_properties() -> None:
    """Let every Qt property be read and set as an attribute; its setter stays a method."""
    for module in MODULES:
        for value in [getattr(module, name) for name in dir(module)]:
            if isinstance(value, type) and issubclass(value, QtCore.QObject):
                meta = value.staticMetaObject
                for index in range(meta.propertyOffset(), meta.propertyCount()):
                    name = meta.property(index).name()
                    setattr(value, name, _property(name, value.__dict__.get(name) if name in VIRTUAL else None))
    QtCore.QObject.name = _property("objectName")
    QtCore.QObject.className = lambda self: self.metaObject().className()
    QtCore.QObject.delete = lambda self: self.deleteLater()


def _property(name: str, getter: Any = None) -> property:
    def read(self):
        if getter is not None:
            return getter(self)
        return QtCore.QObject.property(self, name)

    def write(self, value):
        if not QtCore.QObject.setProperty(self, name, value):
            raise AttributeError(f"{type(self).__name__}.{name} cannot be {value!r}")

    return property(read, write)


def _with_signatures(kind: type) -> type:
    """A subclass with PythonQt's `connect`, and without new attributes, which PythonQt refuses on objects of C++.

    Shiboken takes `connect` from the leaf class alone, so that each subclass gets its own.
    """

    def refuse_new(self, name, value):
        if type(self).__module__ == "qt" and not name.startswith("_") and not hasattr(type(self), name):
            raise AttributeError(f"{kind.__name__} has no attribute {name}, and PythonQt lets nobody add one")
        kind.__setattr__(self, name, value)

    def init_subclass(cls, **_given):
        cls.connect, cls.disconnect = _connect, _disconnect

    body = {
        "__module__": "qt",
        "__setattr__": refuse_new,
        "__init_subclass__": classmethod(init_subclass),
        "connect": _connect,
        "disconnect": _disconnect,
    }
    try:
        return type(kind.__name__, (kind,), body)
    except TypeError:  # a final class
        return kind


FAILED: list[str] = []
"""Connections that were not made: PythonQt tells of them by what `connect` returns, and goes on."""


def _connect(self, signature: str, slot: Callable) -> bool:
    try:
        signal = _signal(self, signature)
    except ValueError as error:
        FAILED.append(str(error))
        return False
    wrapped = _with_fewer_arguments(slot)
    self.__dict__.setdefault("_connected", {})[signature, slot] = wrapped
    signal.connect(wrapped)
    return True


def _disconnect(self, signature: str, slot: Callable) -> bool:
    wrapped = self.__dict__.get("_connected", {}).pop((signature, slot), None)
    if wrapped is None:
        return False
    _signal(self, signature).disconnect(wrapped)
    return True


def _signal(sender: Any, signature: str) -> Any:
    """The signal of exactly this signature, which the class must have."""
    match = re.fullmatch(r"(\w+)\((.*)\)", signature.strip())
    if not match:
        raise ValueError(f"{signature!r} is no signal: PythonQt wants name(types)")
    name, types = match[1], match[2].strip()
    normal = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
    is_qt = sender.metaObject().indexOfSignal(normal) >= 0
    if not is_qt and normal not in getattr(type(sender), "mrml_signals", ()):
        raise ValueError(f"{type(sender).__name__} has no signal {normal}")
    signal = getattr(sender, name)
    if not is_qt or not types:
        return signal
    try:
        return signal[types]
    except (KeyError, IndexError, TypeError):
        return signal


def _with_fewer_arguments(slot: Callable) -> Callable:
    """A function or a method may take fewer arguments than its signal gives; anything else gets them all."""
    if not inspect.isroutine(slot):
        return slot
    try:
        parameters = list(inspect.signature(slot).parameters.values())
    except (TypeError, ValueError):
        return slot
    if any(item.kind == item.VAR_POSITIONAL for item in parameters):
        return slot
    count = sum(item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD) for item in parameters)
    return lambda *given: slot(*given[:count])
