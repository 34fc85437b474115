"""MIMICSQL, of TREQS: questions on five tables of MIMIC-III, as people put them and as the templates did."""

from __future__ import annotations

from evaluation.benchmarks.layout import Example, Layout, Source, text
from evaluation.text_files import Record

DB_ID = "mimic"
SPLITS = ("train", "dev", "test")
# MIMIC-III is given out to people who are trained for it, so these tables are what the queries name, without rows.
TABLES = {
    "DEMOGRAPHIC": "SUBJECT_ID HADM_ID NAME MARITAL_STATUS AGE DOB GENDER LANGUAGE RELIGION ADMISSION_TYPE DAYS_STAY "
    "INSURANCE ETHNICITY EXPIRE_FLAG ADMISSION_LOCATION DISCHARGE_LOCATION DIAGNOSIS DOD DOB_YEAR DOD_YEAR ADMITTIME "
    "DISCHTIME ADMITYEAR",
    "DIAGNOSES": "SUBJECT_ID HADM_ID ICD9_CODE SHORT_TITLE LONG_TITLE",
    "PROCEDURES": "SUBJECT_ID HADM_ID ICD9_CODE SHORT_TITLE LONG_TITLE",
    "PRESCRIPTIONS": "SUBJECT_ID HADM_ID ICUSTAY_ID DRUG_TYPE DRUG FORMULARY_DRUG_CD ROUTE DRUG_DOSE",
    "LAB": "SUBJECT_ID HADM_ID ITEMID CHARTTIME FLAG VALUE_UNIT LABEL FLUID CATEGORY",
}


def read(record: Record, number: str, source: Source) -> list[Example]:
    question, sql = text(record, ("question_refine", "question")), text(record, "sql")
    return [Example(str(record.get("key") or number), DB_ID, question, "", sql, "", "")]


def make(source: Source, db_id: str) -> str:
    columns = {table: ",\n  ".join(f'"{name}" TEXT' for name in names.split()) for table, names in TABLES.items()}
    return "\n".join(f"CREATE TABLE {table} (\n  {listed}\n);" for table, listed in columns.items())


LAYOUT = Layout(
    "MIMICSQL: questions on tables of MIMIC-III",
    splits={
        **{split: (f"mimicsql_natural_v2/{split}.json|{split}.json",) for split in SPLITS},
        **{f"template_{split}": (f"mimicsql_template/{split}.json",) for split in SPLITS},
    },
    read=read,
    databases=("mimic.db", "mimic_db/mimic.db", "evaluation/mimic_db/mimic.db", "mimic_all.db", "mimic.sqlite"),
    make=make,
    licence="MIT; MIMIC-III has its own",
    source="https://github.com/wangpinggl/TREQS",
)
