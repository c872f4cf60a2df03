"""The record of processing: complete, and up to date."""

from __future__ import annotations

import pytest

from app.features import FEATURES
from tests.environments import ROOT
from tests.privacy.person_factory import personal_tables
from tests.script_modules import import_script


@pytest.mark.req("P3")
@pytest.mark.fault("F65")
def test_every_personal_table_has_a_record() -> None:
    recorded = {place for feature in FEATURES for record in feature.records for place in record.places}

    missing = {table.name for table in personal_tables()} - recorded

    assert not missing, "add these tables to RECORDS of their feature (app/<feature>/records.py)"


@pytest.mark.req("P3")
def test_record_of_processing_is_up_to_date() -> None:
    documented = (ROOT / "docs" / "processing-record.md").read_text(encoding="utf-8")

    assert documented == import_script("document_processing").document(), "run make record"
