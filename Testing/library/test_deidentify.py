"""DICOM without identity holds to the Basic Profile of PS3.15 E: all attributes of its table that a result can have."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_series import PIXEL_MM, SHAPE, ct_slices, enhanced
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

pytest.importorskip("highdicom")

from OrbitalSegLib.export import dicom, headers
from OrbitalSegLib.methods.method import HISTOGRAM

REMOVED_OR_EMPTY = """
    AccessionNumber AcquisitionComments AcquisitionContextSequence AcquisitionDate AcquisitionDateTime
    AcquisitionDeviceProcessingDescription AcquisitionProtocolDescription AcquisitionTime ActualHumanPerformersSequence
    AdditionalPatientHistory AdmissionID AdmittingDate AdmittingDiagnosesCodeSequence AdmittingDiagnosesDescription
    AdmittingTime AffectedSOPInstanceUID Allergies Arbitrary AuthorObserverSequence BranchOfService CassetteID
    CommentsOnThePerformedProcedureStep ConcatenationUID ConfidentialityConstraintOnPatientDataDescription
    ContentCreatorName ContentCreatorIdentificationCodeSequence ContributionDescription CountryOfResidence
    CurrentPatientLocation DataSetTrailingPadding DerivationDescription DetectorID DigitalSignaturesSequence
    DischargeDiagnosisDescription EthnicGroup GantryID GeneratorID HumanPerformerName HumanPerformerOrganization
    IdentifyingComments ImageComments ImagingServiceRequestComments InstanceCoercionDateTime InstanceCreatorUID
    InstitutionAddress InstitutionCodeSequence InstitutionName InstitutionalDepartmentName InsurancePlanIdentification
    IssuerOfAdmissionID IssuerOfPatientID LastMenstrualDate MedicalAlerts MedicalRecordLocator MilitaryRank
    ModifiedImageDescription NameOfPhysiciansReadingStudy NamesOfIntendedRecipientsOfResults Occupation OperatorsName
    OperatorIdentificationSequence OrderCallbackPhoneNumber OrderEnteredBy OtherPatientIDs OtherPatientIDsSequence
    OtherPatientNames OverlayDate OverlayTime ParticipantSequence PatientAddress PatientAge PatientBirthDate
    PatientBirthName PatientBirthTime PatientComments PatientInstitutionResidence PatientInsurancePlanCodeSequence
    PatientMotherBirthName PatientPrimaryLanguageCodeSequence PatientReligiousPreference PatientSex
    PatientSexNeutered PatientSize PatientState PatientTelephoneNumbers PatientTransportArrangements PatientWeight
    PerformedLocation PerformedProcedureStepDescription PerformedProcedureStepID PerformedProcedureStepStartDate
    PerformedProcedureStepStartTime PerformedStationAETitle PerformedStationName PerformingPhysicianName
    PersonAddress PersonName PersonTelephoneNumbers PhysiciansOfRecord PhysiciansReadingStudyIdentificationSequence
    PlateID PreMedication PregnancyStatus ProtocolName ReasonForTheRequestedProcedure ReasonForStudy
    ReferencedPatientSequence ReferencedStudySequence ReferringPhysicianAddress
    ReferringPhysicianIdentificationSequence ReferringPhysicianName ReferringPhysicianTelephoneNumbers RegionOfResidence
    RequestAttributesSequence RequestedContrastAgent RequestedProcedureComments RequestedProcedureDescription
    RequestedProcedureID RequestedProcedureLocation RequestingPhysician RequestingService
    ResponsibleOrganization ResponsiblePerson ResultsComments ReviewerName ScheduledHumanPerformersSequence
    ScheduledPatientInstitutionResidence ScheduledPerformingPhysicianName ScheduledProcedureStepDescription
    ScheduledProcedureStepLocation ScheduledStationName SeriesDate SeriesTime ServiceEpisodeDescription ServiceEpisodeID
    SmokingStatus SourceSerialNumber SpecialNeeds StationName StudyComments StudyDate StudyDescription StudyID
    StudyIDIssuer StudyTime TextComments TextString TimezoneOffsetFromUTC VisitComments VerifyingObserverName
"""
"""By names: X and Z of the table."""

OF_OUR_OWN = ("ContentDate", "ContentTime", "DeviceSerialNumber", "SeriesDescription", "PatientName", "PatientID")
"""D of the table, and what says of us alone: there, with a value that is the same for every patient."""

UIDS = (
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"),
    *("ReferencedSOPInstanceUID", "TrackingUID", "DimensionOrganizationUID", "MediaStorageSOPInstanceUID"),
)
"""U of the table: there, and new."""

MARKER = "ZQXJ"


def marked(keyword: str) -> object:
    """A value that would be found again."""
    values = {"DA": "19770703", "TM": "070707", "DT": "19770703070707", "AS": "077Y", "DS": "77.07", "UI": "1.7777.7"}
    kind = dictionary_VR(keyword)
    if kind == "SQ":
        inner = Dataset()
        inner.PatientName = inner.InstitutionName = MARKER
        return [inner]
    return {"CS": MARKER, "SH": MARKER, "US": 7707, "OB": MARKER.encode()}.get(kind, values.get(kind, MARKER))


KNOWN = [keyword for keyword in REMOVED_OR_EMPTY.split() if pydicom.datadict.tag_for_keyword(keyword)]


def source(change: bool) -> list[Dataset]:
    """A scan whose headers hold every attribute of the profile, in sequences too."""
    slices = ct_slices(FrameOfReferenceUID="1.7777.9", StudyInstanceUID="1.7777.1", series="1.7777.2")
    slices = [enhanced(slices)] if change else slices
    with headers.unchecked():
        for one in slices:
            for keyword in (*KNOWN, *OF_OUR_OWN):
                setattr(one, keyword, marked(keyword))
            for group in one.get("PerFrameFunctionalGroupsSequence") or ():
                group.PatientComments = MARKER
    return slices


def results(slices: list[Dataset], folder: Path) -> Iterator[Dataset]:
    """A segmentation and a surface without identity, as they lie on the disk."""
    found = headers.prepared(headers.without_identity(slices))[0]
    mask = sitk.GetImageFromArray(np.ones(SHAPE, np.uint8))
    mask.SetSpacing((PIXEL_MM, PIXEL_MM, 1.0))
    mask.SetOrigin((-7.25, 12.5, 100.0))
    algorithm = dicom.Algorithm("threshold", HISTOGRAM, "1", {})
    dicom.write_dicom_segmentation({"bone": mask}, found, folder / "segmentation.dcm", algorithm)
    (folder / "bone.stl").write_bytes(bytes(84))
    dicom.write_dicom_surface(folder / "bone.stl", found, folder / "bone.dcm", "Bone")
    for name in ("segmentation.dcm", "bone.dcm"):
        content = (folder / name).read_bytes()
        assert MARKER.encode() not in content
        assert b"1.7777." not in content
        assert b"19770703" not in content
        yield pydicom.dcmread(folder / name)


def elements(dataset: Dataset) -> Iterator[pydicom.DataElement]:
    yield from getattr(dataset, "file_meta", None) or ()
    for element in dataset:
        yield element
        for item in element.value if element.VR == "SQ" else ():
            yield from elements(item)


def test_the_table_is_as_long_as_it_should_be():
    assert len(KNOWN) > 140


@pytest.mark.parametrize("multiframe", [False, True])
def test_a_result_without_identity_holds_to_the_basic_profile(tmp_path, multiframe):
    with headers.unchecked():
        for found in results(source(multiframe), tmp_path):
            for element in elements(found):
                if element.keyword in KNOWN:
                    assert not element.value, element.keyword
                if element.VR == "UI" and element.keyword not in UIDS:
                    assert str(element.value).startswith("1.2.840.10008.") or "Implementation" in element.keyword
                if element.VR in ("DA", "TM", "DT"):
                    assert element.value in ("", headers.NO_DATE, headers.NO_TIME), element.keyword
            assert found.PatientIdentityRemoved == "YES"
            assert found.LongitudinalTemporalInformationModified == "REMOVED"
            [code] = found.DeidentificationMethodCodeSequence
            assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
            assert (found.PatientName, found.PatientID) == ("ANONYMOUS^", "ANONYMOUS")


def test_two_results_of_one_scan_share_a_study_and_say_nothing_else_alike(tmp_path):
    """Each UID that is new is the same in both files, so that they lie in one study."""
    with headers.unchecked():
        first, second = results(source(False), tmp_path)
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.FrameOfReferenceUID == second.FrameOfReferenceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
