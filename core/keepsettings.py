"""How long what names people, and what nobody needs any more, is kept."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from core.sections import Section


class KeepSettings(Section):
    """`[keep]`: days. What is emptied leaves its row: the same letter is never sent a second time."""

    letters: int = Field(default=90, ge=7, le=3660)
    """Address, name, text and attachments of letters, from the day on which they were written."""
    held: int = Field(default=365, ge=7, le=3660, validate_default=True)
    """The same of letters for which a person has decided nothing."""
    papers: int = Field(default=3650, ge=30, le=36_600)
    """What stands on order confirmations and invoices, from their day."""
    stock_alerts: int = Field(default=365, ge=7, le=3660)
    """Alerts of low stock, from the day on which they were over."""

    @field_validator("held")
    @classmethod
    def _whoever_is_asked_has_time(cls, value: int, info: ValidationInfo) -> int:
        letters = info.data.get("letters", 0)
        if value < letters:
            raise ValueError(f"letters that wait for a person are kept as long as others at least: {letters} days")
        return value
