"""Faculties, their professors, the courses they teach and the students who take them."""

from __future__ import annotations

from evaluation.tiny.domain import Bridge, Column, Domain, Link, Table

FACULTIES = (
    "Natural Sciences, Humanities, Law, Medicine, Engineering, Economics, Fine Arts, Education, Theology, Agriculture, "
    "Social Sciences, Architecture"
)

PROFESSORS = (
    "Alan Whitmore, Bettina Krause, Carlos Mendez, Deborah Okoye, Edgar Lind, Francesca Bruni, Gideon Marks, Heidi "
    "Brandt, Igor Malkin, Joanna Pratt, Kazuo Endo, Lillian Moore, Mustafa Kaya, Nadia Karim, Owen Gallagher, Petra "
    "Hansen, Rafael Ortiz, Sylvia Grant, Timothy Beck, Usha Pillai, Vaughn Carter, Wanda Nowak, Xavier Roche, Zelda "
    "Fairchild"
)

COURSES = (
    "Organic Chemistry, Linear Algebra, Roman Law, Modern Poetry, Human Anatomy, Fluid Mechanics, Game Theory, Oil "
    "Painting, Child Psychology, Church Music, Soil Science, Urban Planning, Quantum Physics, Medieval Europe, "
    "Contract Law, Immunology, Robotics, Public Finance, Sculpture, Teaching Methods, Greek Philosophy, Plant "
    "Breeding, Social Theory, Bridge Design, Statistics, World Literature, Criminal Law, Nutrition, Computer Networks, "
    "Labour Markets, Photography, School Leadership, Ethics, Forestry, Migration Studies, Building Materials"
)

STUDENTS = (
    "Aaron Bishop, Bianca Rossi, Connor Walsh, Delia Marsh, Emil Larsen, Farah Malik, Georgia Tan, Hugo Blanc, Isla "
    "Mackay, Jonah Feld, Kiran Patel, Lena Hoffmann, Mateo Vargas, Nadine Weber, Otto Klein, Penelope Ash, Ravi Menon, "
    "Selma Aydin, Tariq Hassan, Una Brady, Vito Greco, Willa James, Yan Liu, Zara Ahmed, Anton Berger, Brooke Ellis, "
    "Casper Holt, Daria Popova, Elliot Frey, Flora Kemp, Glenn Ito, Hattie Cross, Ivo Maric, June Park, Kurt Adler, "
    "Lola Reyes"
)

DOMAIN = Domain(
    name="university",
    tables=(
        Table(
            "faculty",
            ("faculty",),
            ("faculties",),
            (
                Column("faculty_id", "id"),
                Column("name", "name", ("name",), pool=tuple(FACULTIES.split(", "))),
                Column(
                    "founded", "year", ("founding year", "year of foundation"), low=1848, high=1999,
                    more=("newer",), less=("older",), most=("newest",), least=("oldest",),
                ),
                Column(
                    "campus", "category", ("campus",), pool=("Hilltop", "Riverside", "Old Town", "Lakeview"),
                ),
                Column("scholarships", "flag", ("scholarships",)),
            ),
            rows=12,
        ),
        Table(
            "professor",
            ("professor", "lecturer"),
            ("professors", "lecturers"),
            (
                Column("professor_id", "id"),
                Column("faculty_id", "fk"),
                Column("name", "name", ("name",), pool=tuple(PROFESSORS.split(", "))),
                Column(
                    "age", "number", ("age",), low=31, high=72,
                    more=("older",), less=("younger",), most=("oldest",), least=("youngest",), unit="years",
                ),
                Column(
                    "salary", "number", ("salary", "pay", "income"), low=52000, high=168000, step=500,
                    most=("best paid",), least=("worst paid",),
                    unit="dollars",
                ),
                Column("tenured", "flag", ("tenure",), adjective="tenured"),
            ),
            rows=24,
        ),
        Table(
            "course",
            ("course", "class"),
            ("courses", "classes"),
            (
                Column("course_id", "id"),
                Column("professor_id", "fk"),
                Column("title", "name", ("title", "name"), pool=tuple(COURSES.split(", "))),
                Column("credits", "number", ("number of credits", "credit points"), low=2, high=12, unit="credits"),
                Column(
                    "level", "category", ("level",), pool=("beginner", "intermediate", "advanced", "graduate"),
                    adjective="{}",
                ),
                Column(
                    "starts_on", "date", ("start date", "starting date"), low=2021, high=2024,
                    more=("later",), less=("earlier",), most=("latest",), least=("earliest",), nullable=0.1,
                ),
            ),
            rows=36,
        ),
        Table(
            "student",
            ("student",),
            ("students",),
            (
                Column("student_id", "id"),
                Column("name", "name", ("name",), pool=tuple(STUDENTS.split(", "))),
                Column(
                    "birth_year", "year", ("birth year", "year of birth"), low=1988, high=2006,
                    most=("youngest",), least=("oldest",),
                ),
                Column(
                    "major", "category", ("major", "main subject"),
                    pool=("biology", "mathematics", "sociology", "geology", "linguistics"), adjective="{}",
                ),
                Column(
                    "nationality", "category", ("nationality",),
                    pool=("Irish", "Danish", "Indian", "Turkish", "Polish", "Chilean"), adjective="{}",
                ),
            ),
            rows=36,
        ),
        Table(
            "enrolment",
            ("enrolment",),
            ("enrolments",),
            (
                Column("student_id", "fk"),
                Column("course_id", "fk"),
                Column("score", "number", ("score", "exam score"), low=35, high=100, unit="points"),
            ),
            rows=60,
            bridge=True,
        ),
    ),
    links=(
        Link(
            "professor", "faculty_id", "faculty",
            ("working at {}", "employed by {}"), ("employing {}", "staffed by {}"),
        ),
        Link("course", "professor_id", "professor", ("taught by {}", "given by {}"), ("who taught {}", "giving {}")),
        Link("enrolment", "student_id", "student"),
        Link("enrolment", "course_id", "course"),
    ),
    bridges=(
        Bridge(
            "enrolment", "student", "student_id", "course", "course_id",
            ("enrolled in {}", "who took {}"), ("attended by {}", "taken by {}"),
        ),
    ),
)
