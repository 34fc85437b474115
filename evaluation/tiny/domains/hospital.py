"""Departments, their wards and doctors, and the patients they look after."""

from __future__ import annotations

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table

DEPARTMENTS = (
    "Cardiology, Neurology, Oncology, Paediatrics, Orthopaedics, Radiology, Dermatology, Urology, Emergency, "
    "Geriatrics, Psychiatry, Surgery"
)

WARDS = (
    "Ash Ward, Birch Ward, Cedar Ward, Daisy Ward, Elm Ward, Fern Ward, Heather Ward, Iris Ward, Juniper Ward, "
    "Lavender Ward, Maple Ward, Oak Ward, Poppy Ward, Rose Ward, Willow Ward, Yew Ward"
)

DOCTORS = (
    "Helen Carver, Omar Farouk, Ingrid Dahl, Paul Whitaker, Anika Rao, George Lang, Marta Kowalska, David Osei, Susan "
    "Lindley, Ricardo Pena, Naomi Sato, Victor Hahn, Laura Bennett, Ahmed Zaki, Claire Moulin, Stephen Marlow, Irina "
    "Volkova, Daniel Roth, Fatima Noor, Kenneth Boyle, Gabriela Cruz, Thomas Egan, Lydia Frost, Samir Joshi, Eva "
    "Lindholm, Rupert Sims"
)

PATIENTS = (
    "Albert Finch, Brenda Cole, Charles Dorn, Diana Webb, Edwin Parr, Fiona Gale, Gregory Hunt, Hilda Ives, Ivan "
    "Jarvis, Joyce Keller, Karl Lamb, Lucy Mead, Martin Nye, Nora Otis, Oliver Pratt, Paula Quist, Ralph Reed, Sarah "
    "Stroud, Terence Unger, Ursula Vane, Vincent Wade, Wendy Xu, Yvonne Zeller, Arthur Bloom, Bridget Crane, Cedric "
    "Dale, Dorothy Earl, Ernest Fry, Florence Gill, Gordon Hay, Harriet Irwin, Isaac Jules, Janet Kirk, Keith Lowry, "
    "Lorna Mills, Maurice North, Nancy Ogden, Oscar Platt, Phyllis Rowe, Roland Shaw, Stella Todd, Trevor Underhill"
)

DOMAIN = Domain(
    name="hospital",
    tables=(
        Table(
            "department",
            ("department",),
            ("departments",),
            (
                Column("department_id", "id"),
                Column("name", "name", ("name",), pool=tuple(DEPARTMENTS.split(", "))),
                Column(
                    "budget", "number", ("budget", "yearly budget"), low=200000, high=4800000, step=25000,
                    most=("richest", "best funded"),
                    least=("poorest", "worst funded"),
                    unit="dollars",
                ),
                Column(
                    "building", "category", ("building",), pool=("Main Block", "Annex", "Tower", "Pavilion"),
                ),
            ),
            rows=12,
        ),
        Table(
            "ward",
            ("ward",),
            ("wards",),
            (
                Column("ward_id", "id"),
                Column("department_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(WARDS.split(", "))),
                Column(
                    "beds", "number", ("number of beds", "bed count"), low=6, high=48,
                    more=("larger", "bigger"), less=("smaller",), most=("largest", "biggest"), least=("smallest",),
                    unit="beds",
                ),
                Column(
                    "renovated", "year", ("renovation year", "year of renovation"), low=1998, high=2023,
                    most=("most recently renovated",), least=("least recently renovated",), nullable=0.1,
                ),
                Column("isolation", "flag", ("isolation rooms",)),
            ),
            rows=16,
        ),
        Table(
            "doctor",
            ("doctor", "physician"),
            ("doctors", "physicians"),
            (
                Column("doctor_id", "id"),
                Column("department_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(DOCTORS.split(", "))),
                Column(
                    "grade", "category", ("grade", "rank"), pool=("resident", "specialist", "consultant", "chief"),
                ),
                Column(
                    "salary", "number", ("salary", "pay"), low=58000, high=245000, step=1000,
                    most=("best paid",), least=("worst paid",),
                    unit="dollars",
                ),
                Column(
                    "hired", "date", ("hiring date", "date of hiring"), low=1996, high=2023,
                    most=("most recently hired",), least=("longest serving",),
                ),
            ),
            rows=26,
        ),
        Table(
            "patient",
            ("patient",),
            ("patients",),
            (
                Column("patient_id", "id"),
                Column("ward_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(PATIENTS.split(", "))),
                Column(
                    "age", "number", ("age",), low=1, high=97,
                    more=("older",), less=("younger",), most=("oldest",), least=("youngest",), unit="years",
                ),
                Column(
                    "weight", "number", ("weight", "body weight"), low=12, high=118, step=0.5,
                    more=("heavier",), less=("lighter",), most=("heaviest",), least=("lightest",), unit="kilograms",
                ),
                Column(
                    "blood_type", "category", ("blood type", "blood group"), pool=("A", "B", "AB", "O"),
                ),
                Column("insured", "flag", ("insurance",), adjective="insured"),
            ),
            rows=42,
        ),
        Table(
            "consultation",
            ("consultation",),
            ("consultations",),
            (
                Column("doctor_id", "fk"),
                Column("patient_id", "fk"),
                Column("fee", "number", ("consultation fee",), low=40, high=320, step=5, unit="dollars"),
            ),
            rows=60,
            bridge=True,
        ),
    ),
    links=(
        Link("ward", "department_id", "department", ("of {}", "belonging to {}"), ("with {}", "running {}")),
        Link("doctor", "department_id", "department", ("working in {}", "in {}"), ("employing {}", "staffed by {}")),
        Link("patient", "ward_id", "ward", ("staying in {}", "admitted to {}"), ("housing {}", "occupied by {}")),
        Link("consultation", "doctor_id", "doctor"),
        Link("consultation", "patient_id", "patient"),
    ),
    bridges=(
        Bridge(
            "consultation", "doctor", "doctor_id", "patient", "patient_id",
            ("who treated {}", "who examined {}"), ("treated by {}", "who saw {}"),
        ),
    ),
)
